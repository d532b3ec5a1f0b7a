//! Asks whether the client is there, while nothing comes from it.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{Instant, Sleep, sleep};

/// See the module.
#[derive(Debug)]
pub(super) struct Heart {
    ping: PingPong,
    /// How long nothing may come before it is asked, and then before it is given up.
    span: Duration,
    clock: Pin<Box<Sleep>>,
    /// All that had come when the clock was set.
    came: u64,
    is_asked: bool,
}

impl Heart {
    pub(super) fn new(ping: PingPong, span: Duration) -> Self {
        Self { ping, span, clock: Box::pin(sleep(span)), came: 0, is_asked: false }
    }

    /// Whether the client is to be given up; so many bytes have come from it in all.
    pub(super) fn poll_stopped(&mut self, cx: &mut Context<'_>, came: u64) -> bool {
        if self.is_asked && self.ping.poll_pong(cx).is_ready() {
            self.is_asked = false;
        }
        while self.clock.as_mut().poll(cx).is_ready() {
            // Whatever comes is a sign of life.
            let is_alive = came != self.came;
            if self.is_asked && !is_alive {
                return true;
            }
            if !self.is_asked && !is_alive {
                // It fails if the connection is about to end; that is seen elsewhere.
                self.is_asked = self.ping.send_ping(Ping::opaque()).is_ok();
                if self.is_asked && self.ping.poll_pong(cx).is_ready() {
                    self.is_asked = false;
                }
            }
            self.came = came;
            self.clock.as_mut().reset(Instant::now() + self.span);
        }
        false
    }
}

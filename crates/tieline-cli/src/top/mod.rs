//! `tieline top`: what a server is doing, as a table: once, or live.
//!
//! [`fetch`] asks the server's `/api`, [`figures`] is what it says, [`table`] puts it into columns, [`screen`] draws it
//! again each second. It asks for no more channels than it shows, and never more often than once a second.

mod fetch;
mod figures;
mod fit;
mod keys;
mod screen;
mod table;

use std::io::{self, Write};
use std::time::Duration;

use tieline_server::observe::{PAGE_MAX, Sort};

use self::fetch::Server;
use self::figures::Look;
use crate::exit::{self, Failure};
use crate::tls::TlsArgs;
use crate::token::own::TokenFrom;
use crate::units::Span;
use crate::web::{Dialer, Url};

/// Where a server speaks HTTP, if nobody says otherwise.
const DEFAULT: &str = "http://127.0.0.1:7071";

/// The server computes no more often, so asking more often tells nothing.
const EVERY_MIN: Duration = Duration::from_secs(1);

/// What `tieline top` is told.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where the server speaks HTTP
    #[arg(long, value_name = "URL", env = "TIELINE_HTTP_URL", default_value = DEFAULT, value_parser = server)]
    http: Url,

    #[command(flatten)]
    tls: TlsArgs,

    #[command(flatten)]
    token: TokenFrom,

    /// What channels are ordered by: attention, id, name, waiting, oldest, free, busy, rate, in, out, p50, p99
    #[arg(long, value_name = "ORDER", default_value = "attention")]
    sort: Sort,

    /// Channels to show, at most
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = channels)]
    limit: usize,

    /// How often to look, 1s at least
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    every: Span,

    /// Print one table and end
    #[arg(long)]
    once: bool,

    /// Print the figures as JSON
    #[arg(long, requires = "once")]
    json: bool,
}

/// Shows it.
///
/// # Errors
/// If the server is out of reach, or doesn't let us watch.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let server = Server::new(Dialer::new(args.http, args.tls.options())?, args.token.token()?);
    if !args.once {
        return screen::run(&server, args.sort, args.limit, args.every.0).await;
    }
    let look = look_twice(&server, args.sort, args.limit).await?;
    let text = if args.json { look.json() } else { table::plain(&look) };
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", text.trim_end())
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::new(exit::NO_OUTPUT, format!("stdout can't be written: {error}")))
}

/// A rate is what happens between two looks: if nobody has looked of late, we look twice.
async fn look_twice(server: &Server, sort: Sort, limit: usize) -> Result<Look, Failure> {
    let look = server.look_aloud(sort, limit).await?;
    if look.has_rates() {
        return Ok(look);
    }
    // What was looked at is good for a second.
    tokio::time::sleep(EVERY_MIN + Duration::from_millis(50)).await;
    server.look_aloud(sort, limit).await
}

/// A server is a host and a port; what is asked there, this command knows.
fn server(text: &str) -> Result<Url, String> {
    let wrong = || format!("'{text}' is not the address of a server: write http://HOST:PORT, or https://HOST:PORT");
    text.parse().ok().filter(|url: &Url| url.path == "/").ok_or_else(wrong)
}

fn interval(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    if span.0 < EVERY_MIN { Err("the server looks once a second, so 1s is the least".to_owned()) } else { Ok(span) }
}

fn channels(text: &str) -> Result<usize, String> {
    let most = || format!("from 1 to {PAGE_MAX}");
    text.parse().ok().filter(|count| (1..=PAGE_MAX).contains(count)).ok_or_else(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_a_port() {
        for right in ["http://127.0.0.1:7071", "http://[::1]:7071/", "https://bus.example"] {
            assert!(server(right).is_ok(), "{right}");
        }
        for wrong in ["", "127.0.0.1:7071", "tcp://127.0.0.1:7071", "http://x/path", "http://x?y"] {
            assert!(server(wrong).unwrap_err().contains("write http://HOST:PORT"), "{wrong}");
        }
    }
}

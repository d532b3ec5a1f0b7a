//! Where an exchange stands, for whoever watches a core: simulations, tests, pages for people.

use tieline_protocol::{ExchangeId, Time};

use crate::core::Core;
use crate::exchange::{Exchange, Stage};
use crate::port::{ConnKey, Port};

/// How far an exchange has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Progress {
    /// It waits on its channel.
    Waiting,
    /// It is in the outbox of a receiver, and no byte of it has left.
    HandedInside,
    /// It has left to a receiver that has not accepted it.
    HandedLeft,
    /// Its receiver has accepted it; no response has started.
    Accepted,
    /// Its response has started and has not been closed.
    Responding,
}

/// How far the body of a direction has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Body {
    /// Bytes that came from its producer.
    pub arrived: u64,
    /// The offset up to which its producer was granted.
    pub granted: u64,
}

/// One exchange as it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Standing {
    /// Which one.
    pub id: ExchangeId,
    /// Who opened it.
    pub opener: ConnKey,
    /// Who has it in hand.
    pub receiver: Option<ConnKey>,
    /// How far it has come.
    pub progress: Progress,
    /// The request's body has been closed.
    pub request_closed: bool,
    /// When it must be over.
    pub deadline: Time,
    /// How often it was handed out.
    pub hand_outs: u8,
    /// The request's body.
    pub request: Body,
    /// The response's, as far as the present receiver has to do with it.
    pub response: Body,
}

impl<P: Port> Core<P> {
    /// Where an exchange stands; `None` if it is over, or never was.
    pub fn standing(&self, id: &ExchangeId) -> Option<Standing> {
        self.exchanges.get(*self.index.get(id)?).map(|x| self.look(x))
    }

    /// Where each exchange stands.
    pub fn standings(&self) -> Vec<Standing> {
        self.exchanges.iter().map(|(_, x)| self.look(x)).collect()
    }

    pub(crate) fn look(&self, x: &Exchange) -> Standing {
        let progress = match x.stage {
            Stage::Waiting(_) => Progress::Waiting,
            Stage::Handed(to) => {
                let port = self.conns.get(&to.receiver).map(|conn| &conn.port);
                let has_left = port.is_none_or(|port| port.with(|o| o.has_left(to.lane)));
                if has_left { Progress::HandedLeft } else { Progress::HandedInside }
            }
            Stage::Accepted(_) => Progress::Accepted,
            Stage::Responding(_) => Progress::Responding,
        };
        Standing {
            id: x.id,
            opener: x.opener,
            receiver: x.hand_out().map(|to| to.receiver),
            progress,
            request_closed: x.request.is_closed(),
            deadline: x.deadline,
            hand_outs: x.hand_outs,
            request: Body { arrived: x.request.arrived(), granted: x.request.granted() },
            response: Body {
                arrived: x.response.map_or(0, |response| response.arrived()),
                granted: x.response.map_or(x.response_granted, |response| response.granted()),
            },
        }
    }
}

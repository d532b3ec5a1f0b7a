//! What the driver decides about a client: starts that it refuses, and how many requests one with several connections
//! may have in flight.

use std::sync::Arc;
use std::time::Duration;

use tieline_broker::{Account, Budget, ConnKey, Core, CoreConfig, Counts, Principal};
use tieline_protocol::{Code, Fault, Frame, Time};

use crate::world::frames::*;
use crate::world::line::Line;
use crate::world::*;

struct Desk {
    core: Core<Line>,
    budget: Arc<Budget>,
}

impl Desk {
    fn new() -> Self {
        let budget = Budget::new(AMPLE);
        Self { core: Core::new(CoreConfig::default(), Arc::clone(&budget)), budget }
    }

    fn join(&mut self, number: u64, principal: Option<&Arc<Principal>>) -> (ConnKey, Arc<Account>) {
        let account = Account::new(Arc::clone(&self.budget));
        if let Some(principal) = principal {
            account.belongs_to(Arc::clone(principal));
        }
        self.core.join(ConnKey(number), Line::default(), Arc::clone(&account));
        (ConnKey(number), account)
    }

    fn send(&mut self, conn: ConnKey, frame: impl Into<Frame>) {
        let frame = frame.into();
        self.core.from_opener(Time::ZERO + Duration::from_secs(1), conn, &frame).unwrap();
        self.core.check();
    }
}

#[test]
fn a_start_that_the_driver_refuses_leaves_nothing_and_is_held_against_its_client() {
    let mut desk = Desk::new();
    let (conn, account) = desk.join(1, None);
    let fault = Fault::new(Code::ForbiddenChannel);
    desk.core.refuse_start(conn, &request(id(conn, 1)).body("x").into(), &fault).unwrap();
    desk.core.refuse_start(conn, &receive(CHANNEL, 1), &fault).unwrap();
    desk.core.check();
    assert_eq!(account.take_strikes(), 2);
    assert_eq!(desk.budget.held(), 0);
    assert_eq!(desk.core.counts(), Counts { connections: 1, ..Counts::default() });
}

#[test]
fn a_refused_second_receive_is_as_fatal_as_one_that_is_allowed() {
    let mut desk = Desk::new();
    let (conn, _) = desk.join(1, None);
    desk.core.receive(Time::ZERO, conn, &receive(CHANNEL, 1)).unwrap();
    let fault = Fault::new(Code::ForbiddenChannel);
    assert!(desk.core.refuse_start(conn, &receive(CHANNEL, 1), &fault).is_err());
}

#[test]
fn a_principals_requests_are_counted_over_its_connections_and_each_way_to_end_gives_its_place_back() {
    let mut desk = Desk::new();
    let principal = Principal::new(3);
    let (one, _) = desk.join(1, Some(&principal));
    let (two, refused) = desk.join(2, Some(&principal));
    let (other, _) = desk.join(3, None);
    desk.send(one, request(id(one, 1)));
    desk.send(one, request(id(one, 2)));
    desk.send(two, request(id(two, 1)));
    assert_eq!(principal.in_flight(), 3);
    desk.send(two, request(id(two, 2)));
    assert_eq!((principal.in_flight(), refused.take_strikes()), (3, 1));
    desk.send(other, request(id(other, 1)));
    // Cancelled,
    desk.send(one, cancel(id(one, 1)));
    assert_eq!(principal.in_flight(), 2);
    // lost with its connection,
    desk.core.disconnect(Time::ZERO + Duration::from_secs(1), one);
    assert_eq!(principal.in_flight(), 1);
    // refused for another reason,
    desk.send(two, request(id(two, 3)).no_wait());
    assert_eq!(principal.in_flight(), 1);
    // and out of time.
    desk.core.expire(Time::ZERO + Duration::from_hours(48));
    assert_eq!(principal.in_flight(), 0);
    desk.core.check();
}

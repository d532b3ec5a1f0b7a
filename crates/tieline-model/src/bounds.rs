//! The bounds that are explored: each exhaustive in what it has, and blind to what it hasn't. None alone has everything
//! at once; that would take longer than anybody waits.

use tieline_broker::ADMISSION;

use crate::bound::{Allowance, Body, Bound, Epilogue, Plan, Role};
use crate::sights::Sight;

/// What is explored before a change lands, in about a minute.
pub const SMALL: &[&Bound] = &[
    &ASSIGNMENT,
    &LINE,
    &CHANNELS,
    &AGAIN,
    &CREDIT,
    &MEMORY,
    &OVERLOAD,
    &DEADLINES,
    &DRAIN,
    &STRANGERS,
    &BREAKS,
    &RACES,
    &RACING_BODIES,
    &ITSELF,
];

/// What takes minutes each.
pub const LARGE: &[&Bound] = &[&ASSIGNMENT_OF_THREE, &NO_WAIT, &CREDIT_ONCE_MORE, &DEADLINES_OF_TWO, &RACES_OF_TWO];

/// A budget that nothing exhausts.
const AMPLE: u64 = 1000 * ADMISSION;

/// What most bounds have.
const BASE: Bound = Bound {
    name: "",
    about: "",
    roles: &[],
    channels: 1,
    requests: 2,
    plans: &[Plan::PLAIN],
    responses: &[Body::EMPTY],
    counts: &[1],
    raised_to: 1,
    receives: 1,
    window: 2,
    accepts: false,
    memory: AMPLE,
    may: Allowance::NONE,
    splits_writes: false,
    races: 0,
    meddles: false,
    epilogue: Epilogue::Deadlines,
    expects: &[],
};

const TWO_AND_TWO: &[Role] = &[Role::SENDER, Role::SENDER, Role::RECEIVER, Role::RECEIVER];
const ONE_AND_TWO: &[Role] = &[Role::SENDER, Role::RECEIVER, Role::RECEIVER];
const SLOW_ONE_AND_TWO: &[Role] = &[Role::SLOW_SENDER, Role::RECEIVER, Role::RECEIVER];

/// Who gets what, and what becomes of it.
pub const ASSIGNMENT: Bound = Bound {
    name: "assignment",
    about: "2 senders, 2 receivers, 2 requests; a crash of each side, a return, a withdrawal, a cancel",
    roles: TWO_AND_TWO,
    receives: 2,
    may: Allowance {
        receiver_crashes: 1,
        sender_crashes: 1,
        returns: 1,
        withdrawals: 1,
        cancels: 1,
        ..Allowance::NONE
    },
    expects: &[
        Sight::Complete,
        Sight::SecondReceiver,
        Sight::TwoWait,
        Sight::TakenBack,
        Sight::Pinned,
        Sight::Cancelled,
        Sight::CancelledUnstarted,
        Sight::ReceiverLost,
        Sight::SenderLost,
        Sight::LateFrame,
    ],
    ..BASE
};

/// Three requests in line, and good clients at the end.
pub const LINE: Bound = Bound {
    name: "line",
    about: "2 senders, 2 receivers, 3 requests, counts up to 2; a crash of a receiver, a return; healed",
    roles: TWO_AND_TWO,
    requests: 3,
    raised_to: 2,
    may: Allowance { receiver_crashes: 1, returns: 1, ..Allowance::NONE },
    epilogue: Epilogue::Healing,
    expects: &[Sight::Complete, Sight::SecondReceiver, Sight::TwoWait, Sight::ReceiverLost],
    ..BASE
};

/// Two channels, which have nothing to do with each other.
pub const CHANNELS: Bound = Bound {
    name: "channels",
    about: "1 sender, 2 receivers, 2 channels, 2 requests; a crash, a withdrawal, an end of a connection",
    roles: ONE_AND_TWO,
    channels: 2,
    plans: &[Plan::PLAIN, Plan::PLAIN.on(1)],
    may: Allowance { receiver_crashes: 1, withdrawals: 1, ends: 1, ..Allowance::NONE },
    expects: &[Sight::Complete, Sight::TwoWait, Sight::ReceiverLost],
    ..BASE
};

/// A request is handed out again, or mustn't be.
pub const AGAIN: Bound = Bound {
    name: "again",
    about: "1 sender, 2 receivers, 1 request of 3 units, idempotent or not, window 3; 2 crashes, 2 returns, grants",
    roles: SLOW_ONE_AND_TWO,
    requests: 1,
    raised_to: 2,
    plans: &[Plan::IDEMPOTENT.with(Body::of(3, 1)), Plan::PLAIN.with(Body::of(3, 1))],
    accepts: true,
    window: 3,
    may: Allowance { receiver_crashes: 2, returns: 2, ..Allowance::NONE },
    expects: &[
        Sight::Complete,
        Sight::SecondAfterLoss,
        Sight::ThirdHandOut,
        Sight::ReceiverLost,
        Sight::BeyondInitialWindow,
        Sight::EarlyEnd,
    ],
    ..BASE
};

/// Credit in both directions.
pub const CREDIT: Bound = Bound {
    name: "credit",
    about: "1 sender, 1 receiver, 1 request, bodies of 3 and 4 units, window 2; crashes, a cancel, a failure; healed",
    roles: &[Role::SLOW_SENDER, Role::RECEIVER],
    requests: 1,
    plans: &[Plan::PLAIN.with(Body::of(4, 1)), Plan::PLAIN.with(Body::of(3, 2).ended())],
    responses: &[Body::of(3, 1), Body::of(3, 0).ended()],
    accepts: true,
    may: Allowance { receiver_crashes: 1, sender_crashes: 1, cancels: 1, fails: 1, ..Allowance::NONE },
    epilogue: Epilogue::Healing,
    expects: &[
        Sight::Complete,
        Sight::EarlyEnd,
        Sight::RequestCreditZero,
        Sight::ResponseCreditZero,
        Sight::BeyondInitialWindow,
        Sight::Cancelled,
        Sight::Application,
        Sight::LateFrame,
    ],
    ..BASE
};

/// Memory that doesn't suffice for the grants of two requests.
pub const MEMORY: Bound = Bound {
    name: "memory",
    about: "1 sender, 1 receiver, 2 requests, memory for the grant of one; writes are noted late; a cancel; healed",
    roles: &[Role::SENDER, Role::RECEIVER],
    counts: &[2],
    raised_to: 2,
    plans: &[Plan::PLAIN.with(Body::of(3, 2))],
    accepts: true,
    window: 3,
    // Two admissions are 72 KiB, a quarter is for admissions alone: 12 KiB can be granted beyond the initial windows.
    memory: 112 * 1024,
    splits_writes: true,
    may: Allowance { cancels: 1, ..Allowance::NONE },
    epilogue: Epilogue::Healing,
    expects: &[Sight::Complete, Sight::Hungry, Sight::RequestCreditZero],
    ..BASE
};

/// Memory for one request alone.
pub const OVERLOAD: Bound = Bound {
    name: "overload",
    about: "1 sender, 1 receiver, 2 requests, memory for one and nothing to grant; writes are noted late; healed",
    roles: &[Role::SLOW_SENDER, Role { slow: false, ..Role::RECEIVER }],
    raised_to: 2,
    responses: &[Body::of(3, 1)],
    window: 3,
    memory: ADMISSION + ADMISSION / 4,
    splits_writes: true,
    epilogue: Epilogue::Healing,
    expects: &[Sight::Complete, Sight::Hungry, Sight::Overloaded, Sight::ResponseCreditZero],
    ..BASE
};

/// The clock.
pub const DEADLINES: Bound = Bound {
    name: "deadlines",
    about: "1 sender, 2 receivers, 2 requests with limits, timers that are late; a crash, a return, a withdrawal; healed",
    roles: ONE_AND_TWO,
    plans: &[Plan::PLAIN.within(1, 2), Plan::IDEMPOTENT.within(0, 1)],
    may: Allowance { ticks: 3, receiver_crashes: 1, returns: 1, withdrawals: 1, ..Allowance::NONE },
    epilogue: Epilogue::Healing,
    expects: &[
        Sight::Complete,
        Sight::WaitLimit,
        Sight::DeadlineExceeded,
        Sight::DeadlineUnstarted,
        Sight::Pinned,
        Sight::ReceiverLost,
    ],
    ..BASE
};

/// Drain.
pub const DRAIN: Bound = Bound {
    name: "drain",
    about: "2 senders, 2 receivers, 2 requests; a drain, a crash, a return, an end of a connection; healed",
    roles: TWO_AND_TWO,
    receives: 2,
    plans: &[Plan::PLAIN, Plan::IDEMPOTENT],
    may: Allowance { drains: 1, receiver_crashes: 1, returns: 1, ends: 1, ..Allowance::NONE },
    epilogue: Epilogue::Healing,
    expects: &[Sight::Complete, Sight::ShuttingDownUnstarted, Sight::ShuttingDownSeen, Sight::ReceiverLost],
    ..BASE
};

/// Strangers.
pub const STRANGERS: Bound = Bound {
    name: "strangers",
    about: "2 senders, 2 receivers, 2 requests; a crash, a return, a cancel, a failure; in each state everybody meddles",
    roles: TWO_AND_TWO,
    plans: &[Plan::IDEMPOTENT.with(Body::of(1, 0))],
    responses: &[Body::of(1, 0)],
    accepts: true,
    meddles: true,
    may: Allowance { receiver_crashes: 1, returns: 1, cancels: 1, fails: 1, ..Allowance::NONE },
    expects: &[Sight::Complete, Sight::SecondReceiver, Sight::SecondAfterLoss, Sight::Cancelled, Sight::Application],
    ..BASE
};

/// Broken rules.
pub const BREAKS: Bound = Bound {
    name: "breaks",
    about: "1 sender, 2 receivers, 2 requests; two rules of an exchange are broken, a cancel; healed",
    roles: ONE_AND_TWO,
    plans: &[Plan::PLAIN.with(Body::of(1, 0))],
    responses: &[Body::of(1, 0)],
    accepts: true,
    may: Allowance { breaks: 2, cancels: 1, ..Allowance::NONE },
    epilogue: Epilogue::Healing,
    expects: &[
        Sight::Complete,
        Sight::FlowControl,
        Sight::InvalidFrame,
        Sight::ReceiverLost,
        Sight::SenderLost,
        Sight::Cancelled,
    ],
    ..BASE
};

/// Writers on other threads.
pub const RACES: Bound = Bound {
    name: "races",
    about: "1 sender, 2 receivers, 2 requests; writers claim within steps; a crash, a return, a withdrawal, a cancel",
    roles: SLOW_ONE_AND_TWO,
    races: 3,
    may: Allowance { receiver_crashes: 1, returns: 1, withdrawals: 1, cancels: 1, ..Allowance::NONE },
    expects: &[
        Sight::RaceLost,
        Sight::Complete,
        Sight::SecondReceiver,
        Sight::Cancelled,
        Sight::CancelledUnstarted,
        Sight::Pinned,
    ],
    ..BASE
};

/// Writers on other threads, and bodies.
pub const RACING_BODIES: Bound = Bound {
    name: "racing-bodies",
    about: "1 sender, 2 receivers, 1 idempotent request of 3 units, window 3; writers claim within steps; 2 crashes",
    roles: SLOW_ONE_AND_TWO,
    requests: 1,
    plans: &[Plan::IDEMPOTENT.with(Body::of(3, 2))],
    responses: &[Body::of(1, 0)],
    accepts: true,
    window: 3,
    races: 2,
    may: Allowance { receiver_crashes: 2, ..Allowance::NONE },
    expects: &[Sight::RaceLost, Sight::Complete, Sight::EarlyEnd, Sight::SecondAfterLoss, Sight::ReceiverLost],
    ..BASE
};

/// Connections that take their own requests.
pub const ITSELF: Bound = Bound {
    name: "itself",
    about: "2 connections that both send and receive, 2 requests; a crash, a return, an end of a connection",
    roles: &[Role::BOTH, Role::BOTH],
    may: Allowance { receiver_crashes: 1, returns: 1, ends: 1, ..Allowance::NONE },
    expects: &[Sight::HandedToItself, Sight::Complete, Sight::SecondReceiver],
    ..BASE
};

/// [`ASSIGNMENT`] with a request and a count more, but no cancel.
pub const ASSIGNMENT_OF_THREE: Bound = Bound {
    name: "assignment-3",
    about: "2 senders, 2 receivers, 3 requests, counts up to 2; a crash of each side, a return, a withdrawal",
    requests: 3,
    receives: 1,
    raised_to: 2,
    may: Allowance { cancels: 0, ..ASSIGNMENT.may },
    expects: &[Sight::Complete, Sight::SecondReceiver, Sight::TwoWait, Sight::ReceiverLost, Sight::SenderLost],
    ..ASSIGNMENT
};

/// [`ASSIGNMENT`] with requests that don't wait.
pub const NO_WAIT: Bound = Bound {
    name: "no-wait",
    about: "2 senders, 2 receivers, 2 requests that wait or don't; a crash of each side, a return, a withdrawal, a cancel",
    receives: 1,
    plans: &[Plan::PLAIN, Plan::NO_WAIT],
    expects: &[Sight::Complete, Sight::SecondReceiver, Sight::NoReceiverUnstarted, Sight::TakenBack, Sight::Pinned],
    ..ASSIGNMENT
};

/// [`CREDIT`] with writes that are noted late.
pub const CREDIT_ONCE_MORE: Bound = Bound {
    name: "credit-late",
    about: "1 sender, 1 receiver, 1 request, bodies beyond window 3; writes are noted late; crashes, a cancel, a failure",
    window: 3,
    splits_writes: true,
    expects: &[Sight::Complete, Sight::EarlyEnd, Sight::BeyondInitialWindow, Sight::Cancelled, Sight::Application],
    ..CREDIT
};

/// [`DEADLINES`] with two senders and a cancel.
pub const DEADLINES_OF_TWO: Bound = Bound {
    name: "deadlines-2",
    about: "2 senders, 2 receivers, 2 requests with limits, timers that are late; a crash, a return, a cancel; healed",
    roles: TWO_AND_TWO,
    may: Allowance { withdrawals: 0, cancels: 1, ..DEADLINES.may },
    expects: &[Sight::Complete, Sight::WaitLimit, Sight::DeadlineExceeded, Sight::DeadlineUnstarted, Sight::Cancelled],
    ..DEADLINES
};

/// [`RACES`] with two senders and a crash of one.
pub const RACES_OF_TWO: Bound = Bound {
    name: "races-2",
    about: "2 senders, 2 receivers, 2 requests; writers claim within steps; a crash of each side, a return, a withdrawal",
    roles: &[Role::SLOW_SENDER, Role::SLOW_SENDER, Role::RECEIVER, Role::RECEIVER],
    may: Allowance { cancels: 0, sender_crashes: 1, ..RACES.may },
    expects: &[Sight::RaceLost, Sight::Complete, Sight::SecondReceiver, Sight::ReceiverLost],
    ..RACES
};

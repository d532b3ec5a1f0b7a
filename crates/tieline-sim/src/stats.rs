//! What came about in a run: counts of everything, and conditions that must be met now and then or the runs prove
//! little.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cells::{Blow, CELLS, Stage};
use crate::faults::Fault;

macro_rules! seen {
    ($($name:ident $words:literal;)*) => {
        /// Something that must happen sometimes.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Seen {
            $(#[doc = $words] $name,)*
        }

        /// Each of [`Seen`], with its words.
        pub const SOMETIMES: &[(Seen, &str)] = &[$((Seen::$name, $words),)*];
    };
}

seen! {
    CreditSpent "a producer had data and no credit";
    GrantHungry "a grant waited for memory";
    GrantFed "a grant that had waited for memory was passed on";
    ManyWindows "a body of several windows arrived whole";
    NoInitialCredit "metadata took all of the initial window";
    EarlyResponse "a response began before its request was complete";
    EarlyEnd "a response was closed while its request still came";
    SecondReceiver "a request was handed to a second receiver";
    ThirdReceiver "a request was handed out a third time";
    OwnReceiver "a request was handed to its own sender";
    Returned "a receiver returned a request";
    TakenBack "a start was taken back before it left";
    NotTakenBack "a request ended whose start could not be taken back, for its receive was withdrawn";
    ThriceReturned "a request ended as no-receiver after its returns";
    ChannelFull "a request was refused: channel full";
    Overloaded "a request was refused: the memory is promised";
    TooManyRequests "a request was refused: too many in flight";
    TooManyReceives "a receive was refused: too many";
    TooManyConnections "a connection was refused: too many";
    NoWaitRefused "a no-wait request found no receiver";
    NoWaitServed "a no-wait request was answered";
    WaitLimit "a wait passed";
    DeadlineUnstarted "a deadline passed before any receiver saw the request";
    DeadlineAccepted "a deadline passed in a receiver's hands";
    CancelUnstarted "a cancel came before any receiver saw the request";
    CancelAnswered "a cancel crossed the response, which was complete";
    ReceiverLost "a sender was told that its receiver was lost";
    SenderLost "a receiver was told that its sender was lost";
    ApplicationError "a receiver's program failed";
    SenderFailed "a sender's program failed in the middle of its request";
    ShuttingDown "a request was refused or ended by a drain";
    DrainFinished "a drain ended with all its running work done";
    DrainTimedOut "a drain's grace was over while work was running";
    ServerCrashed "a server died with requests in it";
    Reconnected "a client connected again and went on";
    LeftInGoodOrder "both sides said end, and the connection closed with nothing open";
    LeftWithWork "a client said end while it had work, and finished that";
    StartCrossedEnd "a start crossed the server's end";
    Resent "a request that was unstarted or idempotent was sent again";
    UnstartedByLoss "a connection was lost before a request's start had left";
    PartialWrite "a socket took a part of what was to be written";
    SplitHeader "a read ended within a header";
    Raced "a writer claimed in the midst of a core's step";
    WroteForAnother "a connection wrote to another's socket, whose task rested on";
    ServerSawSilence "the server gave up a silent client";
    ClientSawSilence "a client gave up a silent server";
    ServerSawStall "the server gave up a client that read nothing";
    ClientSawStall "a client gave up a server that read nothing";
    SawCrawling "the server gave up a client whose frame crawled";
    SawNoHello "the server gave up a connection without hello";
    ClockJumped "a process slept, and its clocks began anew";
    BlackholeNoticed "both ends noticed a connection through which nothing came";
    ResetDestroyedBytes "a reset destroyed bytes that had arrived";
    FloodClosed "the server closed a connection for a flood";
    RogueRefused "the server closed a connection that broke a rule";
    RogueExchangeFailed "an exchange was ended because a peer broke a rule";
    StrangerDropped "a frame about others' requests was dropped";
    IdTakenRefused "a hello with the client id of a living connection was refused";
    LateAllowed "late frames were dropped and forgiven";
    ReceiveWithdrawn "a receive was withdrawn, and opened again";
    StartCrossedWithdrawal "a start crossed the withdrawal of its receive";
    TrailerArrived "a trailer arrived";
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Virtual time.
    pub time: Duration,
    /// Events of the simulation.
    pub events: u64,
    /// Frames that either end took in, but for pings of those who break rules.
    pub frames: u64,
    /// Pings of those who break rules: floods, mostly.
    pub noise: u64,
    /// Bytes that sockets took.
    pub bytes: u64,
    /// Steps of cores, after each of which all invariants were checked.
    pub steps: u64,
    /// Connections that were made.
    pub connections: u64,
    /// Requests that were opened.
    pub requests: u64,
    /// How requests ended for their senders.
    pub outcomes: BTreeMap<String, u64>,
    /// Faults that struck.
    pub faults: BTreeMap<Fault, u64>,
    /// How often each of [`SOMETIMES`] came about.
    pub seen: [u64; SOMETIMES.len()],
    /// How often each state of an exchange met each blow.
    pub cells: [[u64; Blow::ALL.len()]; Stage::ALL.len()],
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            time: Duration::ZERO,
            events: 0,
            frames: 0,
            noise: 0,
            bytes: 0,
            steps: 0,
            connections: 0,
            requests: 0,
            outcomes: BTreeMap::new(),
            faults: BTreeMap::new(),
            seen: [0; SOMETIMES.len()],
            cells: [[0; Blow::ALL.len()]; Stage::ALL.len()],
        }
    }
}

impl Stats {
    pub(crate) fn see(&mut self, what: Seen) {
        self.seen[what as usize] += 1;
    }

    pub(crate) fn hit(&mut self, stage: Stage, blow: Blow) {
        self.cells[stage as usize][blow as usize] += 1;
    }

    pub(crate) fn ended(&mut self, how: &str) {
        if let Some(count) = self.outcomes.get_mut(how) {
            *count += 1;
        } else {
            self.outcomes.insert(how.to_owned(), 1);
        }
    }

    /// Adds what came about in another run.
    pub fn add(&mut self, other: &Self) {
        self.time += other.time;
        self.events += other.events;
        self.frames += other.frames;
        self.noise += other.noise;
        self.bytes += other.bytes;
        self.steps += other.steps;
        self.connections += other.connections;
        self.requests += other.requests;
        for (how, count) in &other.outcomes {
            *self.outcomes.entry(how.clone()).or_default() += count;
        }
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for (mine, theirs) in self.seen.iter_mut().zip(&other.seen) {
            *mine += theirs;
        }
        for (mine, theirs) in self.cells.iter_mut().flatten().zip(other.cells.iter().flatten()) {
            *mine += theirs;
        }
    }

    /// What should have come about and didn't.
    pub fn missing(&self) -> Vec<String> {
        let seen = SOMETIMES.iter().filter(|(what, _)| self.seen[*what as usize] == 0).map(|(_, words)| words);
        let cells = CELLS
            .iter()
            .filter(|cell| cell.is_possible() && self.cells[cell.stage as usize][cell.blow as usize] == 0)
            .map(|cell| format!("{} × {}", cell.stage.words(), cell.blow.words()));
        seen.map(|words| (*words).to_owned()).chain(cells).collect()
    }
}

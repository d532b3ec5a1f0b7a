//! Who may connect, and what they may do: tokens, judged before a connection is given anything.
//!
//! | module | what it holds |
//! |---|---|
//! | [`channels`] | which channels a token may use |
//! | [`digest`] | what is kept of a token |
//! | [`holder`] | a token in use: its rules, its connections, its limits |
//! | [`failures`] | wrong tokens, counted by where they come from |
//!
//! ```text
//!  hello ─▶ is its source barred? ─▶ is its token known? ─▶ is there a seat? ─▶ connected
//!                  │ yes                  │ no                   │ no               │
//!                  ▼                      ▼                      ▼                  │ the table is replaced:
//!             overloaded        unauthorized (counted)       overloaded             │ is the token still known?
//!                                         ▲                                         │
//!                                         └─────────────────────────────────────────┘ no
//! ```

mod channels;
mod digest;
mod failures;
mod holder;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use thiserror::Error;
use tieline_broker::Rate;
use tieline_protocol::session::Hello;
use tieline_protocol::{Code, Fault, Frame, Kind, StartPayload, Time, Violation};
use tokio::sync::Notify;

pub use channels::{ChannelPattern, PatternError};
pub use digest::TokenDigest;
pub use failures::Source;
pub(crate) use failures::{ALL as FAILURES_ALL, SOURCES_MAX};
pub use holder::{BYTES_PER_SECOND_MIN, TokenRule};
pub(crate) use holder::{Holder, Seat};

use failures::Failures;

/// Wrong tokens that a source may bring, by default: one in a second, and ten at once.
pub const WRONG_TOKENS_DEFAULT: Rate = Rate { per_second: 1, burst: 10 };

/// What is longer than this is no token, and isn't hashed.
pub(crate) const TOKEN_MAX: usize = 1024;

/// An expiry is looked for at least this often: the clock on the wall may be set.
const LOOK_EVERY: Duration = Duration::from_mins(10);

/// Who may use a server. Clones are one and the same, so a running server's can be [replaced](Self::replace).
///
/// ```
/// use tieline_server::{Access, Config, TokenDigest, TokenRule};
/// let mut worker = TokenRule::new("worker-1", TokenDigest::of(b"a random text of at least 128 bits"));
/// worker.receive = vec!["thumbs".parse().unwrap()];
/// let mut config = Config::default();
/// config.access = Access::with_tokens([worker.clone()])?;
/// let handle = config.access.clone();
/// // Later, while the server runs: this one may do more, and all others are closed.
/// worker.send = vec!["img-*".parse().unwrap()];
/// handle.replace([worker])?;
/// # Ok::<(), tieline_server::TokensError>(())
/// ```
#[derive(Clone)]
pub struct Access(Arc<Shared>);

struct Shared {
    /// By digest; `None`: there are no tokens, and everybody may do everything.
    tokens: RwLock<Option<Tokens>>,
    /// Goes up with every replacement and expiry.
    generation: AtomicU64,
    changed: Notify,
    failures: Mutex<Failures>,
}

type Tokens = HashMap<TokenDigest, Arc<Holder>>;

/// Tokens that can't stand in one table.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TokensError {
    /// Two have the same name.
    #[error("two tokens are called '{0}'")]
    Name(String),
    /// Two are the same token.
    #[error("'{0}' and '{1}' are the same token")]
    Digest(String, String),
    /// The limit on bytes is too low to work.
    #[error("'{0}': {1} bytes a second are too few; at least {BYTES_PER_SECOND_MIN}")]
    TooSlow(String, u64),
}

impl Default for Access {
    fn default() -> Self {
        Self::open()
    }
}

/// How many tokens there are, and nothing about them.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.tokens() {
            None => f.write_str("Access(open)"),
            Some(tokens) => write!(f, "Access({} tokens)", tokens.len()),
        }
    }
}

impl Access {
    /// Everybody who reaches a listener may do everything.
    pub fn open() -> Self {
        Self::from_table(None)
    }

    /// Only who has one of these tokens may connect.
    ///
    /// # Errors
    /// If they can't stand in one table.
    pub fn with_tokens(rules: impl IntoIterator<Item = TokenRule>) -> Result<Self, TokensError> {
        let access = Self::from_table(Some(Tokens::new()));
        access.replace(rules)?;
        Ok(access)
    }

    fn from_table(tokens: Option<Tokens>) -> Self {
        Self(Arc::new(Shared {
            tokens: RwLock::new(tokens),
            generation: AtomicU64::new(0),
            changed: Notify::new(),
            failures: Mutex::default(),
        }))
    }

    /// From now on these tokens hold, and no others.
    ///
    /// Every hello and every start from now on is judged by them. A connection whose token is gone is told
    /// *unauthorized* and closed at once. If a token may receive less than before, its connections are told `end`:
    /// their receives are closed, they start nothing more, and what runs on them finishes; their clients connect anew.
    /// All else that changed takes effect in place.
    ///
    /// # Errors
    /// If they can't stand in one table; then nothing has changed.
    pub fn replace(&self, rules: impl IntoIterator<Item = TokenRule>) -> Result<(), TokensError> {
        let rules: Vec<_> = rules.into_iter().collect();
        check(&rules)?;
        {
            let mut place = self.0.tokens.write().unwrap_or_else(PoisonError::into_inner);
            let mut before = place.take().unwrap_or_default();
            let keep = |rule: TokenRule| {
                let digest = rule.digest;
                let holder = match before.remove(&digest) {
                    Some(holder) => {
                        holder.set_rule(rule);
                        holder
                    }
                    None => Holder::new(rule),
                };
                (digest, holder)
            };
            *place = Some(rules.into_iter().map(keep).collect());
        }
        self.announce();
        Ok(())
    }

    /// Whether a token is asked for.
    pub fn wants_tokens(&self) -> bool {
        self.tokens().is_some()
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.tokens().as_ref().map_or(0, HashMap::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Goes up whenever connections should be judged anew.
    pub(crate) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Judges a hello. `None` if everybody may do everything.
    ///
    /// # Errors
    /// What the client is told before it is closed: the same whatever is wrong with its token.
    pub(crate) fn admit(
        &self,
        hello: &Hello,
        source: Source,
        rate: Rate,
        now: Time,
    ) -> Result<Option<Seat>, Violation> {
        if !self.wants_tokens() {
            return Ok(None);
        }
        let holder = self.holder_of(hello.metadata.get("token"), source, rate, now)?;
        let seat = holder.enter().ok_or_else(|| {
            Violation::new(Code::Overloaded, "this token has as many connections as it may: try again later")
        })?;
        Ok(Some(seat))
    }

    /// Judges whether who shows this token, or none, may see what the server does.
    ///
    /// # Errors
    /// What it is told.
    pub(crate) fn may_watch(
        &self,
        token: Option<&[u8]>,
        source: Source,
        rate: Rate,
        now: Time,
    ) -> Result<(), Violation> {
        if !self.wants_tokens() || self.holder_of(token, source, rate, now)?.rule().watch {
            return Ok(());
        }
        Err(Violation::new(Code::ForbiddenChannel, "the token may not watch: it needs 'watch = true'"))
    }

    /// Whose token this is. One that is wrong is counted against where it comes from.
    fn holder_of(&self, token: Option<&[u8]>, source: Source, rate: Rate, now: Time) -> Result<Arc<Holder>, Violation> {
        if self.is_barred(source, rate, now) {
            return Err(Violation::new(
                Code::Overloaded,
                "too many wrong tokens came from this address: try again later",
            ));
        }
        let token = token.filter(|token| token.len() <= TOKEN_MAX);
        token.and_then(|token| self.find(TokenDigest::of(token))).ok_or_else(|| {
            if self.failures().note(source, rate, now) {
                tracing::warn!(%source, "too many wrong tokens: no more are looked at from there for a while");
            }
            unauthorized()
        })
    }

    /// Whether so many wrong tokens came from a source that another of its isn't looked at now.
    pub(crate) fn is_barred(&self, source: Source, rate: Rate, now: Time) -> bool {
        self.wants_tokens() && self.failures().is_barred(source, rate, now)
    }

    /// Judges a connection again. It has a seat if tokens were asked for when it came.
    ///
    /// # Errors
    /// If its token isn't known any more.
    pub(crate) fn judge_again(&self, seat: Option<&Seat>) -> Result<(), Violation> {
        let is_known = match seat {
            None => !self.wants_tokens(),
            Some(seat) => self.find(seat.rule().digest).is_some_and(|holder| Arc::ptr_eq(&holder, &seat.holder)),
        };
        if is_known { Ok(()) } else { Err(unauthorized()) }
    }

    /// Waits until connections should be judged anew: the table was replaced, or a token has expired since the time
    /// that is given. Says until when it has looked. One at a time may wait. Cancel safe.
    pub(crate) async fn changed(&self, since: SystemTime) -> SystemTime {
        loop {
            let now = SystemTime::now();
            let next = self.first_expiry(since.min(now));
            if next.is_some_and(|at| at <= now) {
                self.0.generation.fetch_add(1, Ordering::AcqRel);
                return now;
            }
            let left = next.map_or(LOOK_EVERY, |at| at.duration_since(now).unwrap_or_default().min(LOOK_EVERY));
            tokio::select! {
                () = self.0.changed.notified() => return now,
                () = tokio::time::sleep(left), if next.is_some() => {}
            }
        }
    }

    /// The first expiry behind this time.
    fn first_expiry(&self, after: SystemTime) -> Option<SystemTime> {
        let tokens = self.tokens();
        let all = tokens.iter().flat_map(HashMap::values).filter_map(|holder| holder.rule().expires);
        all.filter(|at| *at > after).min()
    }

    fn announce(&self) {
        self.0.generation.fetch_add(1, Ordering::AcqRel);
        self.0.changed.notify_one();
    }

    fn find(&self, digest: TokenDigest) -> Option<Arc<Holder>> {
        let holder = self.tokens().as_ref()?.get(&digest).cloned()?;
        (!holder.is_expired(SystemTime::now())).then_some(holder)
    }

    fn tokens(&self) -> std::sync::RwLockReadGuard<'_, Option<Tokens>> {
        self.0.tokens.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.0.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a start is refused to a connection with this seat, if it is. What can't be parsed is left to be judged as that.
pub(crate) fn forbids(seat: &Seat, frame: &Frame) -> Option<Fault> {
    let rule = seat.rule();
    let patterns = match frame.kind {
        Kind::StartRequest => &rule.send,
        Kind::StartReceive => &rule.receive,
        _ => return None,
    };
    let start = StartPayload::split(&frame.payload).ok()?;
    (!channels::allow(patterns, frame.header.channel, &start.metadata)).then(|| {
        Fault::because(
            Code::ForbiddenChannel,
            "the token doesn't allow this on this channel; what counts is its true name, as the metadata 'channel' \
             says it",
        )
    })
}

fn unauthorized() -> Violation {
    Violation::new(Code::Unauthorized, Code::Unauthorized.sentence())
}

fn check(rules: &[TokenRule]) -> Result<(), TokensError> {
    let mut names = HashSet::new();
    let mut digests = HashMap::new();
    for rule in rules {
        if !names.insert(&rule.name) {
            return Err(TokensError::Name(rule.name.clone()));
        }
        if let Some(other) = digests.insert(rule.digest, &rule.name) {
            return Err(TokensError::Digest(other.clone(), rule.name.clone()));
        }
        if let Some(few) = rule.bytes_per_second.filter(|bytes| bytes.get() < BYTES_PER_SECOND_MIN) {
            return Err(TokensError::TooSlow(rule.name.clone(), few.get()));
        }
    }
    Ok(())
}

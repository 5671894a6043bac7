//! What a configuration of the model lets happen, and how often. Every number is a bound on one
//! trace; within the bounds the search is exhaustive.

/// How often each thing may still happen in a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Crashes, losses, lags, stalls and takeovers, all together.
    pub faults: u8,
    /// The process dies and starts anew.
    pub crashes: u8,
    /// An answer is lost: done, done later, or not done.
    pub losses: u8,
    /// A list shows a new request late.
    pub lags: u8,
    /// Acts of people on the object.
    pub acts: u8,
    /// The remote fails to grant or to revoke.
    pub failures: u8,
    /// Somebody takes the access back at the remote.
    pub outside: u8,
    /// A pass stands still between its mark and its POST for longer than a mark is valid.
    pub stalls: u8,
    /// Another replica takes over, while the one before may be in the middle of a pass.
    pub takeovers: u8,
    /// The clock moves on to the next moment that matters.
    pub ticks: u8,
}

impl Budget {
    /// Whether there is room for one more fault of a kind.
    pub fn can(&self, kind: u8) -> bool {
        self.faults > 0 && kind > 0
    }
}

/// What people may do to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Delete it.
    Delete,
    /// Write the annotation `revoke`.
    Revoke,
    /// Write the annotation `request-again`.
    Again,
    /// Suspend it, or resume it.
    Suspend,
    /// Drop the record from the annotations.
    DropRecord,
    /// Strip our finalizer off.
    Strip,
    /// Apply the name again when the object is gone.
    Reapply,
    /// The same, with all annotations as they were exported.
    Restore,
    /// Apply the second name with all annotations of the first, as they stand or were exported.
    Copy,
    /// Take the annotations `revoke` and `request-again` away.
    Withdraw,
}

/// How the world begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// All there is was just applied.
    Applied,
    /// The first resource has its access already.
    Live,
}

/// What becomes of the POST of a replica that loses its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sleep {
    /// It has left, and arrives within the deadline of its call, or never.
    OnTheWire,
    /// It leaves when its process wakes, however late.
    PastTheWindow,
}

/// How many names there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// One.
    One,
    /// Two, each applied for itself.
    Two,
    /// Two, of which somebody may copy the second from the first.
    Copied,
}

/// One configuration.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub name: &'static str,
    /// The most requests one POST makes.
    pub array: u8,
    /// How late a late list is, in seconds.
    pub lag: i64,
    pub acts: &'static [Act],
    pub names: Names,
    pub begins: Begins,
    pub renewal: bool,
    pub pending_timeout: bool,
    /// A request at the remote that names this object and is not ours.
    pub foreign: bool,
    pub sleep: Sleep,
    pub budget: Budget,
}

impl Config {
    /// Whether lists may be later than the settle window: then two creates can be live for a while.
    pub fn is_beyond_the_window(&self) -> bool {
        self.lag > 15
    }
}

//! The same for the credentials of one session: the real `next`, through crashes before and after
//! each write, lost answers, somebody else who reads first, and a person who asks for new ones.
//! Modelled is what `look.rs` and `deliver.rs` do around it.
//!
//! | property | where |
//! | --- | --- |
//! | nothing is read before the write-ahead for it stands in the Secret | every read |
//! | what a reset made is consumed by us at most once | every read |
//! | no reset without a person's word, or a read of ours that was interrupted | every reset |
//! | the Secret holds the newest, or the status says who has it | the end of every fair run |

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use apono_operator::{
    controller::credentials::{
        next::{CredentialStep, Decision, next, overall},
        scene::{
            CredentialMemory, Delivered, Record, ResetTry, Scene, SecretSight, Seen, Target, Word,
        },
    },
    crd::{CredentialsState, CredentialsStatus, RemoteApi},
};

use crate::world::moment;

const SESSION: &str = "s1";
/// No fair run may take more moves.
const MOST_MOVES: usize = 400;

/// How far a pass is.
#[derive(Clone, Debug)]
enum Stage {
    Idle,
    /// The write-ahead comes next.
    Ahead(Box<Decision>),
    /// The read comes next; whether an earlier one was begun.
    Read(Box<Decision>, bool),
    /// What was read is to be stored, while it is in memory.
    Store(Box<Decision>, u8),
    /// The reset is sent next.
    Reset(Box<Decision>, Seen),
    /// The status is to be written.
    Report(Box<CredentialsStatus>, bool),
}

#[derive(Clone, Debug)]
struct World {
    now: i64,
    word: Word,
    /// Which credentials the remote holds: each reset makes new ones.
    newest: u8,
    /// What was consumed by us, once for each time.
    consumed: Vec<u8>,
    status: CredentialsStatus,
    secret: Option<(Record, Option<u8>)>,
    memory: CredentialMemory,
    is_asked: bool,
    /// The resets that a person's word allows.
    allowed: u8,
    is_read_elsewhere: bool,
    stage: Stage,
    crashes: u8,
    losses: u8,
    others: u8,
    persons: u8,
    ticks: u8,
    violation: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Pass,
    /// The next write or call of the pass; for a call: how it goes.
    Go(Call),
    Crash,
    /// The remote is done with a reset.
    Made,
    /// Somebody else reads the credentials.
    Other,
    /// A person asks for new ones.
    Person,
    Tick(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Answered,
    Unheard,
    Lost,
}

/// How often each thing may happen in a trace.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub crashes: u8,
    pub losses: u8,
    /// Somebody else reads first.
    pub others: u8,
    /// A person asks for new ones.
    pub persons: u8,
    pub ticks: u8,
}

fn start(bounds: Bounds) -> World {
    World {
        now: 100,
        word: Word::Available,
        newest: 0,
        consumed: Vec::new(),
        status: CredentialsStatus::default(),
        secret: None,
        memory: CredentialMemory::default(),
        is_asked: false,
        allowed: 0,
        is_read_elsewhere: false,
        stage: Stage::Idle,
        crashes: bounds.crashes,
        losses: bounds.losses,
        others: bounds.others,
        persons: bounds.persons,
        ticks: bounds.ticks,
        violation: None,
    }
}

impl World {
    fn seen(&self) -> Seen {
        Seen {
            id: SESSION.to_owned(),
            api: RemoteApi::UserV4,
            integration: "database".to_owned(),
            requests: vec!["r1".to_owned()],
            word: self.word.clone(),
            can_reset: true,
        }
    }

    fn decide(&self, sessions: &Result<Vec<Seen>, String>, secret: &SecretSight) -> Decision {
        let targets = [Target {
            id: "r1".to_owned(),
            api: RemoteApi::UserV4,
        }];
        next(&Scene {
            secret_name: "orders",
            old: &self.status,
            targets: &targets,
            owned: &BTreeSet::from(["r1".to_owned()]),
            others_live: &BTreeSet::new(),
            integrations: 1,
            active_since: moment(0),
            sessions,
            secret,
            memory: &self.memory,
            reset_asked: self.is_asked,
            now: moment(self.now),
        })
    }

    fn sight(&self) -> SecretSight {
        let ours = |(record, _): &(Record, _)| SecretSight::Ours(record.clone());
        self.secret.as_ref().map_or(SecretSight::Absent, ours)
    }

    /// A pass decides; what it does comes next. `word` is what it has seen.
    fn pass(&mut self, mut secret: SecretSight, seen: &Seen) {
        let sessions = Ok(vec![seen.clone()]);
        if seen.word == Word::Resetting
            && let Some(tried) = self.memory.resets.get_mut(SESSION)
        {
            tried.seen_resetting = true;
        }
        let mut decision = self.decide(&sessions, &secret);
        if decision.step == CredentialStep::LookIntoSecret {
            secret = self.sight();
            decision = self.decide(&sessions, &secret);
        }
        let decision = Box::new(decision);
        self.stage = match &decision.step {
            CredentialStep::Deliver(_) => Stage::Ahead(decision),
            CredentialStep::Reset(seen) => {
                let seen = seen.clone();
                Stage::Reset(decision, seen)
            }
            CredentialStep::PutDownReset(_) => {
                let planned = ResetTry {
                    from_viewed: seen.word == Word::Viewed,
                    ..ResetTry::default()
                };
                self.memory.resets.insert(SESSION.to_owned(), planned);
                Stage::Report(Box::new(decision.status), self.is_asked)
            }
            CredentialStep::Rest | CredentialStep::LookIntoSecret => {
                Stage::Report(Box::new(decision.status), self.is_asked)
            }
        };
        if let Stage::Report(status, false) = &mut self.stage {
            status.message = None;
            if **status == self.status {
                self.stage = Stage::Idle;
            }
        }
    }

    /// The next write or call.
    fn go(&mut self, call: Call) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle => Stage::Idle,
            Stage::Ahead(decision) => {
                let (mut record, data) = self.secret.clone().unwrap_or_default();
                let is_begun = record.reading.contains_key(SESSION);
                record.reading.insert(SESSION.to_owned(), moment(self.now));
                self.secret = Some((record, data));
                Stage::Read(decision, is_begun)
            }
            Stage::Read(decision, is_begun) => return self.read(decision, is_begun, call),
            Stage::Store(decision, read) => {
                let (record, data) = self.secret.get_or_insert_default();
                record.reading.remove(SESSION);
                let known = decision
                    .status
                    .sessions
                    .iter()
                    .find(|one| one.id == SESSION);
                let reset = known
                    .and_then(|one| one.resetting_since.as_ref())
                    .map(|at| at.0);
                let delivered = Delivered {
                    at: Some(moment(self.now)),
                    reset,
                    prefix: String::new(),
                };
                record.delivered.insert(SESSION.to_owned(), delivered);
                *data = Some(read);
                self.memory.resets.remove(SESSION);
                let mut status = decision.status;
                for one in &mut status.sessions {
                    one.state = Some(CredentialsState::Delivered);
                }
                status.state = Some(overall(&status.sessions, decision.is_short));
                Stage::Report(Box::new(status), self.is_asked)
            }
            Stage::Reset(decision, seen) => {
                self.reset(&seen, call);
                Stage::Report(Box::new(decision.status), self.is_asked)
            }
            Stage::Report(mut status, is_asked) => {
                status.message = None;
                self.status = *status;
                self.is_asked &= !is_asked;
                Stage::Idle
            }
        };
    }

    fn read(&mut self, decision: Box<Decision>, is_begun: bool, call: Call) {
        let is_ahead = |(record, _): &(Record, _)| record.reading.contains_key(SESSION);
        if !self.secret.as_ref().is_some_and(is_ahead) {
            self.violation = Some("a read without a write-ahead");
        }
        let is_fresh = self.word == Word::Available;
        if call != Call::Lost && is_fresh {
            self.word = Word::Viewed;
            if self.consumed.contains(&self.newest) {
                self.violation = Some("the same credentials are consumed twice");
            }
            self.consumed.push(self.newest);
        }
        if call != Call::Answered {
            self.memory.failures = 1;
            self.stage = Stage::Report(Box::new(decision.status), self.is_asked);
        } else if is_fresh {
            self.stage = Stage::Store(decision, self.newest);
        } else {
            // Somebody was quicker; the write-ahead is taken back, unless an earlier read was ours.
            if let Some((record, _)) = self.secret.as_mut().filter(|_| !is_begun) {
                record.reading.remove(SESSION);
            }
            let sight = self.sight();
            let seen = Seen {
                word: Word::Viewed,
                ..self.seen()
            };
            self.pass(sight, &seen);
        }
    }

    fn reset(&mut self, seen: &Seen, call: Call) {
        let was_interrupted = |(record, _): &(Record, _)| record.reading.contains_key(SESSION);
        let is_ours = self.secret.as_ref().is_some_and(was_interrupted);
        if self.allowed == 0 && !is_ours {
            self.violation = Some("a reset that nobody asked for");
        }
        let tried = self.memory.resets.entry(SESSION.to_owned());
        let tried = tried.or_insert_with(|| ResetTry {
            from_viewed: seen.word == Word::Viewed,
            ..ResetTry::default()
        });
        tried.count = (tried.count + 1).min(2);
        tried.sent = Some(moment(self.now));
        tried.refusal = None;
        if call != Call::Lost {
            self.word = Word::Resetting;
        }
    }

    fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        match &self.stage {
            Stage::Idle => {
                moves.push(Move::Pass);
                if self.ticks > 0 {
                    moves.extend([Move::Tick(6), Move::Tick(31)]);
                }
            }
            Stage::Read(..) | Stage::Reset(..) => {
                moves.push(Move::Go(Call::Answered));
                if self.losses > 0 {
                    moves.extend([Move::Go(Call::Unheard), Move::Go(Call::Lost)]);
                }
            }
            Stage::Ahead(_) | Stage::Store(..) | Stage::Report(..) => {
                moves.push(Move::Go(Call::Answered));
            }
        }
        if self.crashes > 0 {
            moves.push(Move::Crash);
        }
        if self.word == Word::Resetting {
            moves.push(Move::Made);
        }
        if self.word == Word::Available && self.others > 0 {
            moves.push(Move::Other);
        }
        if self.persons > 0 {
            moves.push(Move::Person);
        }
        moves
    }

    fn after(&self, one: Move) -> Self {
        let mut world = self.clone();
        match one {
            Move::Pass => {
                let seen = world.seen();
                world.pass(SecretSight::Unread, &seen);
            }
            Move::Go(call) => {
                world.losses -= u8::from(call != Call::Answered);
                world.go(call);
            }
            Move::Crash => {
                world.crashes -= 1;
                world.memory = CredentialMemory::default();
                world.stage = Stage::Idle;
            }
            Move::Made => {
                world.word = Word::Available;
                world.newest += 1;
                world.is_read_elsewhere = false;
            }
            Move::Other => {
                world.others -= 1;
                world.word = Word::Viewed;
                world.is_read_elsewhere = true;
            }
            Move::Person => {
                world.persons -= 1;
                world.is_asked = true;
                world.allowed += 1;
            }
            Move::Tick(seconds) => {
                world.ticks = world.ticks.saturating_sub(1);
                world.now += seconds;
            }
        }
        world
    }

    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        format!("{self:?}").hash(&mut hasher);
        hasher.finish()
    }
}

/// Nothing fails from here on, and an end has to come.
fn ends(from: &World) -> Result<(), String> {
    let mut world = World {
        others: 0,
        ..from.clone()
    };
    for _ in 0..MOST_MOVES {
        let before = world.digest();
        world = match world.stage {
            Stage::Idle => world.after(Move::Pass),
            _ => world.after(Move::Go(Call::Answered)),
        };
        if let Some(violation) = world.violation {
            return Err(violation.to_owned());
        }
        let is_idle = matches!(world.stage, Stage::Idle);
        if is_idle && is_over(&world) {
            return Ok(());
        }
        if world.word == Word::Resetting {
            world = world.after(Move::Made);
        } else if is_idle || before == world.digest() {
            world = world.after(Move::Tick(6));
        }
    }
    Err(format!(
        "no end: {:?}, {:?}",
        world.status.state, world.word
    ))
}

fn is_over(world: &World) -> bool {
    let in_secret = world.secret.as_ref().and_then(|(_, data)| *data);
    let is_delivered = world.status.state == Some(CredentialsState::Delivered);
    let is_elsewhere = world.status.state == Some(CredentialsState::ViewedElsewhere);
    !world.is_asked
        && (is_delivered && in_secret == Some(world.newest)
            || is_elsewhere && world.is_read_elsewhere)
}

/// Searches everything within these bounds; the first violation comes with its trace.
pub fn search(bounds: Bounds) -> Result<(usize, usize), String> {
    let first = start(bounds);
    let mut parents: HashMap<u64, (u64, Move)> = HashMap::new();
    let mut known = HashSet::from([first.digest()]);
    let (mut level, mut moves) = (vec![first], 0);
    while !level.is_empty() {
        let mut next = Vec::new();
        for world in level {
            let digest = world.digest();
            ends(&world).map_err(|text| told(&parents, digest, &text))?;
            for one in world.moves() {
                let after = world.after(one);
                moves += 1;
                let digest_after = after.digest();
                if !known.insert(digest_after) {
                    continue;
                }
                parents.insert(digest_after, (digest, one));
                if let Some(text) = after.violation {
                    return Err(told(&parents, digest_after, text));
                }
                next.push(after);
            }
        }
        level = next;
    }
    Ok((known.len(), moves))
}

fn told(parents: &HashMap<u64, (u64, Move)>, to: u64, text: &str) -> String {
    let (mut path, mut at) = (Vec::new(), to);
    while let Some((before, one)) = parents.get(&at) {
        path.push(format!("{one:?}"));
        at = *before;
    }
    path.reverse();
    format!("credentials: {text}\n{}", path.join("\n"))
}

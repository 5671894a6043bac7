//! How many calls a user may make in a second, where the switch for it is set.

use std::collections::HashMap;

use jiff::SignedDuration;

use crate::clock::later;
use crate::http::Answer;
use crate::machine::{Machine, Refusal};
use crate::switches::RateHint;
use crate::users::UserKey;

/// The calls of each user in his current second.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    seconds: HashMap<UserKey, (i64, u32)>,
}

impl Rates {
    /// Counts a call; the answer it gets instead when there were too many.
    pub(crate) fn count(&mut self, machine: &Machine, user: UserKey) -> Option<Answer> {
        let most = machine.switches().rate_limit?;
        let now = machine.now();
        let (second, calls) = self.seconds.entry(user).or_default();
        if *second != now.as_second() {
            (*second, *calls) = (now.as_second(), 0);
        }
        *calls = calls.saturating_add(1);
        if *calls <= most {
            return None;
        }
        let refusal = Refusal::new(429, "TOO_MANY_REQUESTS", "too many calls in this second");
        let answer = Answer::refusal(&refusal, machine.switches().error_shape);
        Some(match machine.switches().rate_hint {
            RateHint::Seconds => answer.with_header("retry-after", "1"),
            RateHint::Date => {
                let then = later(now, SignedDuration::from_secs(1));
                let date = then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                answer.with_header("retry-after", date)
            }
            RateHint::None => answer,
        })
    }
}

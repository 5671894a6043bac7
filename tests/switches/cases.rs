//! The switches with their values, as the simulator lists them, and what makes a difference of
//! them: a length that is reached, a grant that fails in part, a user who is a service account.

use apono_simulator::{Switches, switches::V3Others};

/// One switch at one value.
pub struct Case {
    /// The switch.
    pub name: String,
    /// Its value, as `--switch` takes it.
    pub value: String,
}

/// Every value of every switch, and how many are lived as one: those that are the default, where
/// nothing else is set, are the remote as it is.
pub fn cases() -> (Vec<Case>, usize) {
    let (mut all, mut same): (Vec<Case>, usize) = (Vec::new(), 0);
    for row in Switches::rows() {
        for value in values(&row.values) {
            let name = row.name.clone();
            let case = Case { name, value };
            let is_plain = case.switches() == plain() && !case.is_service();
            let is_known = is_plain && all.iter().any(|one| one.switches() == plain());
            if is_known {
                same += 1;
            } else {
                all.push(case);
            }
        }
    }
    (all, same)
}

/// The remote as it is, but that everybody may ask for others on v3.
pub fn plain() -> Switches {
    Switches {
        v3_others: V3Others::Anyone,
        ..Switches::default()
    }
}

/// What can be written for a switch: its words, or what stands for them. Of numbers one that is
/// reached at once and one that is not.
fn values(said: &str) -> Vec<String> {
    let each = said.split(" | ").flat_map(|word| match word {
        "a number" => vec!["1", "20"],
        "a duration like 90s" => vec!["1s", "90s"],
        words if words.starts_with("words like ") => vec!["{}", r#"{"Active":"LIVE"}"#],
        word => vec![word],
    });
    each.map(ToOwned::to_owned).collect()
}

impl Case {
    /// Whether it is about service accounts.
    pub fn is_service(&self) -> bool {
        self.name.contains("service")
    }

    /// Whether every call costs a second, so that one life has to do.
    pub fn is_slow(&self) -> bool {
        self.name == "rate-limit" && self.value == "1"
    }

    /// What else is set, so that it makes a difference.
    fn context(&self) -> &'static [(&'static str, &'static str)] {
        match self.name.as_str() {
            "justification" => &[("justification-length", "150")],
            "justification-length" => &[("justification", "cut")],
            "over-limit" => &[("max-limit", "20")],
            "rate-hint" => &[("rate-limit", "10")],
            "revoke-retry" | "revoke-ended" => &[("partial-grant", "failed")],
            "page-token-life" | "page-end" | "page-position" => {
                &[("max-limit", "2"), ("over-limit", "clamp")]
            }
            "name-case" => &[("entitlement-names", "wildcard")],
            "mfa-position" => &[("id-form", "ar-number")],
            _ => &[],
        }
    }

    /// All switches of this case.
    pub fn switches(&self) -> Switches {
        let mut switches = plain();
        for (name, value) in self.context() {
            switches.set(name, value).unwrap();
        }
        switches.set(&self.name, &self.value).unwrap();
        switches
    }

    /// Whether the remote is right to refuse what this life asks for.
    pub fn refuses(&self, life: &str) -> bool {
        let is_on_v3 = life == "admin";
        match (self.name.as_str(), self.value.as_str()) {
            ("justification", "refused") => !is_on_v3,
            ("duration-required", "true") => life == "mfa",
            ("entitlement-cap", "1") | ("single-permission-on-v4", "bad-request" | "conflict") => {
                life == "names"
            }
            ("v3-others", "nobody" | "admins") => is_on_v3,
            _ => false,
        }
    }
}

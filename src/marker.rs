//! The mark on the wire: a prefix of the justification by which a request made at the remote is
//! found again when the answer to its create was lost. Pure text, no IO.
//!
//! ```text
//! [k8s 3f6m2kq7a5c2t4w6y7b3d5e7 prod/payments/orders-read] INC-42: stuck orders
//!      ~~~~~~~~                 ~~~~~~~~~~~~~~~~~~~~~~~~~
//!      of the uid, then random  origin: cluster/namespace/name
//! ```
//!
//! # Why the justification
//! It is the only field sure to come back, and a prefix survives a cut. Approvers read where the
//! request came from. At most [`MAX_LENGTH`] characters; what does not fit is cut from the name
//! first, so two origins are compared as they were cut.

use std::{fmt, sync::Arc};

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

/// What every mark starts with; users may not write it (a rule of the CRD).
pub const PREFIX: &str = "[k8s ";
/// The longest mark, its closing space included.
pub const MAX_LENGTH: usize = 100;
/// How many characters of a nonce come from the uid.
pub const UID_LENGTH: usize = 8;
/// The length of a nonce.
pub const NONCE_LENGTH: usize = 24;
/// Bytes of randomness in a nonce.
pub const RANDOM_BYTES: usize = 10;

/// A nonce: eight characters that tell the resource, sixteen that tell the POST.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce([u8; NONCE_LENGTH]);

impl Nonce {
    /// The nonce of one POST of the resource with this uid.
    pub fn new(uid: &str, random: [u8; RANDOM_BYTES]) -> Self {
        let text = uid_part(uid) + &encode(&random);
        let mut nonce = [0; NONCE_LENGTH];
        for (place, byte) in nonce.iter_mut().zip(text.bytes()) {
            *place = byte;
        }
        Self(nonce)
    }

    /// A nonce read back, from a mark or from the write-ahead record.
    pub fn parse(text: &str) -> Option<Self> {
        let nonce: [u8; NONCE_LENGTH] = text.as_bytes().try_into().ok()?;
        let is_valid = nonce
            .iter()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
        is_valid.then_some(Self(nonce))
    }

    /// The text of the nonce.
    pub fn as_str(&self) -> &str {
        // There is nothing but ASCII in it.
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether the nonce was made for the resource with this uid.
    pub fn is_of(&self, uid: &str) -> bool {
        self.0.starts_with(uid_part(uid).as_bytes())
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Nonce")
            .field(&self.as_str())
            .finish()
    }
}

/// Where a request came from: `cluster/namespace/name`, cut to what fits into a mark. Clones share
/// one text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(Arc<str>);

impl Origin {
    /// The origin of a resource.
    pub fn new(cluster: &str, namespace: &str, name: &str) -> Self {
        let room = MAX_LENGTH - PREFIX.len() - NONCE_LENGTH - " ".len() - "] ".len();
        let whole = format!("{cluster}/{namespace}/{name}");
        let cut: String = whole.chars().filter(|c| *c != ']').take(room).collect();
        Self(cut.into())
    }

    /// The text of the origin.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Namespace and name of the object it names, if it was not cut.
    pub fn object(&self) -> Option<(&str, &str)> {
        let mut parts = self.0.rsplitn(3, '/');
        let (name, namespace) = (parts.next()?, parts.next()?);
        parts.next().map(|_| (namespace, name))
    }

    /// Whether the origin belongs to this cluster.
    pub fn is_of_cluster(&self, cluster: &str) -> bool {
        self.0
            .strip_prefix(cluster)
            .is_some_and(|rest| rest.starts_with('/'))
    }
}

/// A mark as found in a justification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which POST it was.
    pub nonce: Nonce,
    /// Where it came from, as far as the text goes.
    pub origin: Origin,
    /// Whether the remote cut the text inside the origin.
    pub is_cut: bool,
}

impl Mark {
    /// The mark in this justification, if there is one.
    pub fn parse(justification: &str) -> Option<Self> {
        let rest = justification.trim_start().strip_prefix(PREFIX)?;
        let nonce = Nonce::parse(rest.get(..NONCE_LENGTH)?)?;
        let rest = rest.get(NONCE_LENGTH..)?;
        let (origin, is_cut) = match rest.split_once(']') {
            Some((origin, _)) => (origin, false),
            None => (rest, true),
        };
        let origin = Origin(origin.trim().into());
        Some(Self {
            nonce,
            origin,
            is_cut,
        })
    }

    /// Whether the mark names this origin. A mark that the remote cut names every origin it is a
    /// beginning of: its nonce decides.
    pub fn names(&self, origin: &Origin) -> bool {
        if self.is_cut {
            origin.0.starts_with(&*self.origin.0)
        } else {
            origin == &self.origin
        }
    }
}

/// The justification as it is sent: the mark, then what the user wrote.
pub fn marked(nonce: &Nonce, origin: &Origin, justification: Option<&str>) -> String {
    let mark = format!("{PREFIX}{nonce} {}] ", origin.0);
    mark + justification.unwrap_or_default()
}

fn uid_part(uid: &str) -> String {
    let digest = Sha256::digest(uid.as_bytes());
    encode(&digest).chars().take(UID_LENGTH).collect()
}

/// Base32 in lower case: survives a remote that changes letter case less often than base64, and
/// reads well.
fn encode(bytes: &[u8]) -> String {
    BASE32_NOPAD.encode(bytes).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nonce() -> Nonce {
        Nonce::new("uid-1", [7; RANDOM_BYTES])
    }

    #[test]
    fn a_nonce_tells_its_resource() {
        assert!(nonce().is_of("uid-1"));
        assert!(!nonce().is_of("uid-2"));
        assert_eq!(nonce().as_str().len(), NONCE_LENGTH);
        assert_eq!(Nonce::parse(nonce().as_str()), Some(nonce()));
    }

    #[test]
    fn a_mark_without_justification_is_found_after_trimming() {
        let origin = Origin::new("prod", "payments", "orders");
        let sent = marked(&nonce(), &origin, None);
        let mark = Mark::parse(sent.trim()).unwrap();
        assert!(mark.names(&origin));
        assert!(!mark.is_cut);
    }

    #[test]
    fn other_text_carries_no_mark() {
        for text in [
            "",
            "INC-42",
            "[k8s ]",
            "[k8s short prod/a/b] x",
            "k8s [k8s ",
        ] {
            assert_eq!(Mark::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_cut_mark_names_what_it_is_a_beginning_of() {
        let origin = Origin::new("prod", "payments", "orders");
        let sent = marked(&nonce(), &origin, Some("x"));
        let mark = Mark::parse(&sent[..PREFIX.len() + NONCE_LENGTH + 6]).unwrap();
        assert!(mark.is_cut && mark.names(&origin));
        assert!(!mark.names(&Origin::new("test", "payments", "orders")));
    }

    proptest! {
        #[test]
        fn a_mark_survives_the_wire(
            cluster in "[a-z0-9-]{1,40}", namespace in "[a-z0-9-]{1,63}", name in "[a-z0-9.-]{1,253}",
            user in "\\PC{0,200}", random: [u8; RANDOM_BYTES],
        ) {
            let nonce = Nonce::new("some-uid", random);
            let origin = Origin::new(&cluster, &namespace, &name);
            let sent = marked(&nonce, &origin, Some(&user));
            prop_assert!(sent.len() - user.len() <= MAX_LENGTH);
            let mark = Mark::parse(&sent).unwrap();
            prop_assert_eq!(&mark.nonce, &nonce);
            prop_assert!(mark.names(&origin));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = Mark::parse(&text);
        }
    }
}

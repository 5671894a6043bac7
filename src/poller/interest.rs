//! What a resource wants to know of the remote, and what it is told. Data only: who fills it in
//! is the store, who decides by it is the controller.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use apono_client::{AccessRequest, RequestId};
use jiff::Timestamp;

use crate::crd::RemoteApi;
use crate::marker::{Mark, Nonce, Origin};

/// One custom resource, as it was when it was read: another uid is another resource. Clones share
/// one text: several indexes name every resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey(Arc<Names>);

/// What a [`ResourceKey`] is made of.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Names {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl ResourceKey {
    /// The resource of this namespace, name and uid.
    pub fn new(namespace: String, name: String, uid: String) -> Self {
        Self(Arc::new(Names {
            namespace,
            name,
            uid,
        }))
    }
}

impl Deref for ResourceKey {
    type Target = Names;

    fn deref(&self) -> &Names {
        &self.0
    }
}

/// An id that a resource owns and wants followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// The remote's id.
    pub id: RequestId,
    /// Where it is expected.
    pub api: RemoteApi,
    /// What the list of the admin API has to be asked with; absent for the other lists.
    pub admin: Option<Arc<Administered>>,
}

/// How a request is found through the admin API, whose list is asked user by user, says nothing of
/// when a request was made or ends, and has no second page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Administered {
    /// Whose access it is, as it was asked for.
    pub user: String,
    /// When it was asked for, at the latest; the list has to look back so far.
    pub asked_at: Option<Timestamp>,
    /// When its access ends, as far as can be reckoned.
    pub ends_at: Option<Timestamp>,
}

/// A POST whose answer is not known: is there a request of it?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What tells the POST.
    pub nonce: Nonce,
    /// When it was marked last.
    pub marked_at: Timestamp,
    /// From when on a look that does not find it proves that it is not there.
    pub conclusive_from: Timestamp,
    /// Which list it would be in.
    pub api: RemoteApi,
    /// Whose access it would be: the list of the admin API is asked user by user.
    pub user: Option<String>,
}

/// Everything one resource wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interest {
    /// The ids to follow.
    pub ids: Vec<Tracked>,
    /// The POSTs to look for.
    pub looks: Vec<Wanted>,
    /// What its marks say of where they come from.
    pub origin: Origin,
    /// Whether it asks through the admin API. Each API may show what the other made, by the same id
    /// or by another; what is asked of one is followed there alone.
    pub asks_admin: bool,
}

/// A remote request as it was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// What the remote said, without the texts that nobody looks at: thousands are kept.
    pub request: AccessRequest,
    /// The mark it bears.
    pub mark: Option<Mark>,
    /// Which route said it.
    pub api: RemoteApi,
    /// When the call that returned it was sent: it is at least as new as that.
    pub asked_at: Timestamp,
}

impl Snapshot {
    /// A request as this route answered it to a call sent then.
    pub fn new(mut request: AccessRequest, api: RemoteApi, asked_at: Timestamp) -> Self {
        let justification = request.justification.take();
        request.custom_fields.clear();
        Self {
            request,
            mark: justification.as_deref().and_then(Mark::parse),
            api,
            asked_at,
        }
    }

    /// Whether both say the same of the request, whenever and by whichever route.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.request == other.request && self.mark == other.mark
    }
}

/// What is known of one id.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    /// It was not read yet.
    Unread,
    /// It is there.
    Seen(Arc<Snapshot>),
    /// Every route it may live on says that it is not there.
    Missing(Missing),
}

/// Every route an id may live on answered 404.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    /// How often in a row, each time at least 15 s after the one before.
    pub times: u32,
    /// When that was asked for the first time.
    pub first: Timestamp,
    /// When that was asked for the last time.
    pub last: Timestamp,
    /// What it was before.
    pub last_seen: Option<Arc<Snapshot>>,
}

/// The newest complete look at a list: every status, no filter, nothing left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// When its first page was asked for.
    pub asked_at: Timestamp,
    /// Nothing created at or after this moment was left out; the least possible moment if the
    /// list was read to its end.
    pub since: Timestamp,
}

/// A time during which the present token, or another one of its user, was in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reign {
    /// From then on; the least possible moment if no other was in use before.
    pub from: Timestamp,
    /// Until then; the greatest possible moment if it still is.
    pub until: Timestamp,
}

/// How well the remote can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// When a round last succeeded.
    pub last_good: Option<Timestamp>,
    /// Since when some round keeps failing.
    pub failing_since: Option<Timestamp>,
    /// How many rounds in a row failed, of the one that fails most.
    pub failed_rounds: u32,
    /// What the last failure was.
    pub error: Option<String>,
}

/// What is known of what a resource declared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// One entry for each declared id.
    pub sights: BTreeMap<String, Sight>,
    /// What was found, or answered by our own POST, for each nonce.
    pub by_nonce: BTreeMap<Nonce, Vec<Arc<Snapshot>>>,
    /// Requests whose mark names this origin and that are not among the declared ids, whatever
    /// their nonce.
    pub strays: Vec<(Mark, Arc<Snapshot>)>,
    /// The newest complete look at each list; of the admin API, at that of the user it is about.
    pub look: BTreeMap<RemoteApi, Look>,
    /// Why the last look at a list came to nothing, where it did.
    pub look_faults: BTreeMap<RemoteApi, String>,
    /// Why the list of the admin API cannot show whether something is there, if it cannot.
    pub look_trouble: Option<String>,
    /// Who the present token is: the requestor of every own request it reads.
    pub identity: Option<String>,
    /// Whether the own list names several requestors: then it does not say who the token is.
    pub is_shared: bool,
    /// When the present token, or another one of its user, was in use.
    pub reigns: Vec<Reign>,
    /// How well the remote can be read.
    pub health: Health,
}

//! Every call the client knows, once, with everything said that can be said. The match has no rest:
//! a new endpoint does not compile before it is here, and so in every test that goes through all.

use std::time::Duration;

use apono_client::{
    AccessSessionDetails, AdminQuery, AvailableBundleQuery, AvailableEntitlementQuery, Client,
    DelegatedQuery, Endpoint, EntitlementQuery, EntitlementRef, Error, ListQuery, NewAccessRequest,
    NewAdminRequest, PageToken, RequestAgain, SessionQuery, Target,
};

fn two(text: &str) -> Vec<String> {
    vec![format!("{text}-1"), format!("{text}-2")]
}

fn own() -> ListQuery {
    ListQuery {
        limit: Some(7),
        requestor: Some("u".into()),
        statuses: two("word"),
    }
}

fn delegated() -> DelegatedQuery {
    DelegatedQuery {
        limit: Some(7),
        grantee: Some("g".into()),
        statuses: two("word"),
    }
}

fn held() -> EntitlementQuery {
    EntitlementQuery {
        limit: Some(7),
        statuses: two("word"),
        integration_ids: two("i"),
        resource_types: two("t"),
    }
}

fn sessions() -> SessionQuery {
    SessionQuery {
        limit: Some(7),
        request_ids: two("r"),
        integration_ids: two("i"),
    }
}

fn bundles() -> AvailableBundleQuery {
    AvailableBundleQuery {
        limit: Some(7),
        names: two("*n"),
        grantee: Some("g".into()),
    }
}

fn available() -> AvailableEntitlementQuery {
    AvailableEntitlementQuery {
        limit: Some(7),
        grantee: Some("g".into()),
        integration_id: Some("i".into()),
        integration_name: Some("n".into()),
        resource_name: Some("r".into()),
        permission_names: two("p"),
        resource_type_ids: two("t"),
    }
}

fn any_user() -> AdminQuery {
    AdminQuery {
        user_id: Some("u".into()),
        days_offset: Some(30),
    }
}

pub(crate) fn asked() -> NewAccessRequest {
    let entitlement = EntitlementRef {
        resource_id: "r".into(),
        permission_id: "p".into(),
    };
    NewAccessRequest {
        target: Target::Entitlements(vec![entitlement]),
        justification: Some("why".into()),
        duration: Some(Duration::from_mins(1)),
        custom_fields: [("f".into(), "v".into())].into(),
        grantee: Some("g".into()),
    }
}

pub(crate) fn asked_for_user() -> NewAdminRequest {
    NewAdminRequest {
        user_id: "u".into(),
        integration_id: "i".into(),
        resource_ids: two("r"),
        permissions: two("p"),
        justification: "why".into(),
        duration: Some(Duration::from_mins(1)),
    }
}

fn again() -> RequestAgain {
    RequestAgain {
        justification: Some("why".into()),
        custom_fields: [("f".into(), "v".into())].into(),
    }
}

/// The answer as its `Debug` says it.
fn shown<T: std::fmt::Debug>(answer: Result<T, Error>) -> Result<String, Error> {
    answer.map(|answer| format!("{answer:?}"))
}

/// Everything in the details, spelt out.
fn spelt(details: &AccessSessionDetails) -> String {
    let link = details.link.iter();
    let texts = [
        &details.instructions,
        &details.custom_admin_message,
        &details.cli,
    ];
    let texts = texts.into_iter().flatten().chain(
        link.clone()
            .map(|link| &link.url)
            .chain(link.filter_map(|link| link.title.as_ref())),
    );
    let mut all: Vec<_> = texts.map(|text| text.expose().to_owned()).collect();
    for (name, value) in &details.parameters {
        all.push(format!("{name} {}", value.expose()));
    }
    all.join(" ")
}

/// Makes the call and says what came of it; secrets are spelt out. Ids are `x`, kinds `y`. A token
/// asks for a later page where there are pages.
pub(crate) async fn call(
    endpoint: Endpoint,
    client: &Client,
    token: Option<&PageToken>,
) -> Result<String, Error> {
    match endpoint {
        Endpoint::CreateAccessRequest => shown(client.create_access_request(&asked()).await),
        Endpoint::GetAccessRequest => shown(client.access_request("x").await),
        Endpoint::ListAccessRequests => shown(client.access_requests_page(&own(), token).await),
        Endpoint::ListEntitlements => {
            let held = held();
            shown(client.matching_entitlements_page("x", &held, token).await)
        }
        Endpoint::RequestAgain => shown(client.request_again("x", &again()).await),
        Endpoint::RevokeAccessRequest => shown(client.revoke("x").await),
        Endpoint::ListDelegatedAccessRequests => {
            let delegated = delegated();
            shown(
                client
                    .delegated_access_requests_page(&delegated, token)
                    .await,
            )
        }
        Endpoint::GetDelegatedAccessRequest => shown(client.delegated_access_request("x").await),
        Endpoint::ListAvailableBundles
        | Endpoint::ListAvailableEntitlements
        | Endpoint::ListAccessSessions
        | Endpoint::GetAccessSession
        | Endpoint::GetAccessSessionDetails
        | Endpoint::ResetAccessSessionCredentials => newer(endpoint, client, token).await,
        Endpoint::ListAdminRequests
        | Endpoint::CreateAdminRequest
        | Endpoint::GetAdminRequest
        | Endpoint::GetAdminRequestDetails
        | Endpoint::ResetAdminRequestCredentials
        | Endpoint::RevokeAdminRequests
        | Endpoint::ListSelectableIntegrations
        | Endpoint::ListSelectableResourceTypes
        | Endpoint::ListSelectablePermissions
        | Endpoint::ListSelectableResources => older(endpoint, client).await,
    }
}

async fn newer(
    endpoint: Endpoint,
    client: &Client,
    token: Option<&PageToken>,
) -> Result<String, Error> {
    match endpoint {
        Endpoint::ListAvailableBundles => {
            shown(client.available_bundles_page(&bundles(), token).await)
        }
        Endpoint::ListAvailableEntitlements => shown(
            client
                .available_entitlements_page(&available(), token)
                .await,
        ),
        Endpoint::ListAccessSessions => {
            shown(client.access_sessions_page(&sessions(), token).await)
        }
        Endpoint::GetAccessSession => shown(client.access_session("x").await),
        Endpoint::GetAccessSessionDetails => {
            let details = client.access_session_details("x").await?;
            Ok(spelt(&details))
        }
        Endpoint::ResetAccessSessionCredentials => {
            shown(client.reset_access_session_credentials("x").await)
        }
        _ => panic!("{endpoint:?} is called elsewhere"),
    }
}

async fn older(endpoint: Endpoint, client: &Client) -> Result<String, Error> {
    let user = Some("u");
    match endpoint {
        Endpoint::ListAdminRequests => shown(client.admin_requests_page(&any_user()).await),
        Endpoint::CreateAdminRequest => shown(client.create_admin_request(&asked_for_user()).await),
        Endpoint::GetAdminRequest => shown(client.admin_request("x").await),
        Endpoint::GetAdminRequestDetails => {
            let details = client.admin_request_details("x").await?;
            Ok(details.details.expose().to_owned())
        }
        Endpoint::ResetAdminRequestCredentials => {
            shown(client.reset_admin_request_credentials("x").await)
        }
        Endpoint::RevokeAdminRequests => shown(client.revoke_admin_requests(&["x", "z"]).await),
        Endpoint::ListSelectableIntegrations => shown(client.selectable_integrations(user).await),
        Endpoint::ListSelectableResourceTypes => {
            shown(client.selectable_resource_types("x", user).await)
        }
        Endpoint::ListSelectablePermissions => {
            shown(client.selectable_permissions("x", "y", user).await)
        }
        Endpoint::ListSelectableResources => {
            shown(client.selectable_resources("x", "y", user).await)
        }
        _ => panic!("{endpoint:?} is called elsewhere"),
    }
}

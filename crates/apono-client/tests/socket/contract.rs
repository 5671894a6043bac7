//! The client held to the vendor's public contract: no path is missing or invented, every filter
//! can be sent, and whatever the contract allows in an answer is understood, with nothing lost.

use std::collections::BTreeSet;

use apono_client::{Endpoint, PageToken};
use serde_json::{Map, Value, json};

use crate::every::call;
use crate::support::{Asked, Server, ok};

fn contract() -> Value {
    serde_json::from_str(include_str!("../../../../tests/apono-openapi.json")).unwrap()
}

fn operation(contract: &Value, endpoint: Endpoint) -> &Value {
    &contract["paths"][endpoint.path()][endpoint.method().to_lowercase()]
}

#[test]
fn the_endpoints_are_those_of_the_contract() {
    let contract = contract();
    let mut promised = BTreeSet::new();
    for (path, methods) in contract["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            promised.insert((method.to_uppercase(), path.clone()));
        }
    }
    let known: BTreeSet<_> = Endpoint::ALL
        .into_iter()
        .map(|endpoint| (endpoint.method().to_owned(), endpoint.path().to_owned()))
        .collect();
    assert_eq!(known, promised);
    assert_eq!((known.len(), Endpoint::ALL.len()), (24, 24));
}

/// What of a schema an example shows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    /// Only what is required.
    Minimal,
    /// Everything; null wherever the contract allows it.
    Nulls,
    /// Everything, nothing null.
    Full,
}

/// Builds examples of schemas. Every value is another one, so that a lost one is noticed.
struct Examples<'a> {
    contract: &'a Value,
    shape: Shape,
    made: Vec<String>,
}

impl Examples<'_> {
    fn of(&mut self, schema: &Value) -> Value {
        if self.shape == Shape::Nulls && schema["nullable"] == json!(true) {
            return Value::Null;
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.contract.pointer(reference.trim_start_matches('#'));
            return self.of(target.expect(reference));
        }
        if let Some(whole) = schema["allOf"].as_array() {
            assert_eq!(whole.len(), 1, "only used to say more about one schema");
            return self.of(&whole[0]);
        }
        if let Some(words) = schema["enum"].as_array() {
            self.made.push(words[0].as_str().unwrap().to_owned());
            return words[0].clone();
        }
        match schema["type"].as_str().unwrap() {
            "string" if schema["format"] == json!("date-time") => {
                let minute = self.made.len() % 60;
                let text = format!("2022-03-10T16:{minute:02}:50Z");
                self.made.push(text.clone());
                text.into()
            }
            "string" => self.text("text").into(),
            "integer" => {
                let number = 1000 + self.made.len();
                self.made.push(number.to_string());
                number.into()
            }
            "boolean" => {
                self.made.push("true".into());
                true.into()
            }
            "array" => json!([self.of(&schema["items"]), self.of(&schema["items"])]),
            "object" => self.object(schema),
            other => panic!("`{other}` is not understood"),
        }
    }

    fn text(&mut self, kind: &str) -> String {
        let text = format!("{kind}-{}-", self.made.len());
        self.made.push(text.clone());
        text
    }

    fn object(&mut self, schema: &Value) -> Value {
        let mut object = Map::new();
        if schema["additionalProperties"].is_object() {
            let key = self.text("key");
            object.insert(key, self.of(&schema["additionalProperties"]));
        }
        let required = schema["required"].as_array();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let is_required = required.is_some_and(|it| it.contains(&json!(name)));
            if self.shape != Shape::Minimal || is_required {
                object.insert(name.clone(), self.of(property));
            }
        }
        object.into()
    }
}

/// Calls whose answer is a text for people, which the client does not keep.
fn answers_with_a_message(schema: &Value) -> bool {
    let name = schema["$ref"].as_str().unwrap_or_default();
    name.ends_with("/MessageResponse") || name.ends_with("/PublicApiMessageResponse")
}

#[tokio::test]
async fn whatever_the_contract_allows_is_understood_and_nothing_of_it_is_lost() {
    let contract = contract();
    for endpoint in Endpoint::ALL {
        let answer = &operation(&contract, endpoint)["responses"]["200"];
        let schema = &answer["content"]["application/json"]["schema"];
        for shape in [Shape::Minimal, Shape::Nulls, Shape::Full] {
            let mut examples = Examples {
                contract: &contract,
                shape,
                made: Vec::new(),
            };
            let body = examples.of(schema).to_string();
            let server = Server::start([ok(&body)]).await;
            let shown = call(endpoint, &server.client(), None).await.unwrap();
            assert!(
                !shown.contains("skipped") || shown.contains("skipped: 0"),
                "{shown}"
            );
            if answers_with_a_message(schema) {
                continue;
            }
            for value in examples.made {
                assert!(
                    shown.contains(&value),
                    "{endpoint:?} {shape:?} loses `{value}` of {body}: {shown}"
                );
            }
        }
    }
}

/// The query's keys and how often each occurs.
fn keys(asked: &Asked) -> Vec<(String, usize)> {
    let target = asked.line.split(' ').nth(1).unwrap();
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let mut keys: Vec<(String, usize)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, _) = pair.split_once('=').unwrap();
        match keys.iter_mut().find(|(known, _)| known == key) {
            Some((_, count)) => *count += 1,
            None => keys.push((key.to_owned(), 1)),
        }
    }
    keys.sort();
    keys
}

#[tokio::test]
async fn every_filter_of_the_contract_can_be_sent_and_no_other_is() {
    let contract = contract();
    let token = PageToken::from("t".to_owned());
    for endpoint in Endpoint::ALL {
        let server = Server::start([]).await;
        let client = server.client();
        let _ = call(endpoint, &client, None).await;
        let mut expected: Vec<(String, usize)> = Vec::new();
        let parameters = operation(&contract, endpoint)["parameters"].as_array();
        for parameter in parameters.into_iter().flatten() {
            if parameter["in"] == json!("query") {
                let is_list = parameter["schema"]["type"] == json!("array");
                let name = parameter["name"].as_str().unwrap().to_owned();
                // Lists are sent with two values: the key repeats.
                expected.push((name, if is_list { 2 } else { 1 }));
            }
        }
        expected.sort();
        let has_pages = expected.iter().any(|(name, _)| name == "page_token");
        expected.retain(|(name, _)| name != "page_token");
        assert_eq!(keys(&server.asked()[0]), expected, "{endpoint:?}");
        if has_pages {
            let _ = call(endpoint, &client, Some(&token)).await;
            let later = [("limit".to_owned(), 1), ("page_token".to_owned(), 1)];
            assert_eq!(keys(&server.asked()[1]), later, "{endpoint:?}");
        }
    }
}

#[tokio::test]
async fn every_body_is_one_the_contract_knows() {
    let contract = contract();
    for endpoint in Endpoint::ALL {
        let server = Server::start([]).await;
        let _ = call(endpoint, &server.client(), None).await;
        let asked = &server.asked()[0];
        let body = &operation(&contract, endpoint)["requestBody"];
        let schema = &body["content"]["application/json"]["schema"];
        let Some(reference) = schema["$ref"].as_str() else {
            assert_eq!((asked.body.as_str(), body), ("", &Value::Null));
            continue;
        };
        let schema = contract.pointer(reference.trim_start_matches('#')).unwrap();
        let sent: Value = serde_json::from_str(&asked.body).unwrap();
        let mut sent: BTreeSet<_> = sent.as_object().unwrap().keys().cloned().collect();
        if endpoint == Endpoint::CreateAccessRequest {
            // The other way to say what for; never sent together.
            assert!(sent.insert("bundle_reference".to_owned()));
        }
        let promised = schema["properties"].as_object().unwrap();
        let promised: BTreeSet<_> = promised.keys().cloned().collect();
        assert_eq!(sent, promised, "{endpoint:?}");
    }
}

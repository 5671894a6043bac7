//! The bill of materials of a program, as `CycloneDX`: what is linked, from where, with which checksum,
//! under which licence. Pure.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::crates::Linked;

/// What is linked beside crates.
#[derive(Debug, Clone)]
pub(crate) struct Beside {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its version.
    pub(crate) version: String,
    /// Its licence.
    pub(crate) licence: &'static str,
}

/// The document for `package`, without a time of the build and without a number of its own, so that the
/// same program has the same one.
pub(crate) fn document(
    package: &str,
    linked: &[Linked],
    beside: &[Beside],
    created: Timestamp,
) -> Value {
    let (own, others): (Vec<_>, Vec<_>) = linked.iter().partition(|it| it.name == package);
    let mut components: Vec<Value> = others
        .into_iter()
        .map(|it| component(it, "library"))
        .collect();
    components.extend(beside.iter().map(|it| {
        json!({
            "type": "library",
            "bom-ref": format!("pkg:generic/{}@{}", it.name, it.version),
            "name": it.name,
            "version": it.version,
            "licenses": [{"expression": it.licence}],
            "purl": format!("pkg:generic/{}@{}", it.name, it.version),
        })
    }));
    let needs = linked.iter().map(|it| {
        let mut on: Vec<String> = it
            .needs
            .iter()
            .map(|(name, version)| purl(name, version))
            .collect();
        if it.name == package {
            on.extend(
                beside
                    .iter()
                    .map(|it| format!("pkg:generic/{}@{}", it.name, it.version)),
            );
        }
        json!({"ref": purl(&it.name, &it.version), "dependsOn": on})
    });
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": created.to_string(),
            "component": own.first().map(|it| component(it, "application")),
        },
        "components": components,
        "dependencies": needs.collect::<Vec<_>>(),
    })
}

fn component(of: &Linked, kind: &str) -> Value {
    let name = purl(&of.name, &of.version);
    let mut component = json!({
        "type": kind,
        "bom-ref": name,
        "name": of.name,
        "version": of.version,
        "licenses": [{"expression": of.licence}],
    });
    let Some(fields) = component.as_object_mut() else {
        return component;
    };
    // Our own crates are in no registry.
    if let Some(checksum) = &of.checksum {
        fields.insert("purl".to_owned(), name.into());
        fields.insert(
            "hashes".to_owned(),
            json!([{"alg": "SHA-256", "content": checksum}]),
        );
    }
    if let Some(url) = &of.repository {
        fields.insert(
            "externalReferences".to_owned(),
            json!([{"type": "vcs", "url": url}]),
        );
    }
    component
}

fn purl(name: &str, version: &str) -> String {
    // The only character of a version of Cargo's that is not its own in an address.
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn linked(name: &str, checksum: Option<&str>, needs: &[(&str, &str)]) -> Linked {
        let needs = needs
            .iter()
            .map(|(name, version)| ((*name).to_owned(), (*version).to_owned()));
        Linked {
            name: name.to_owned(),
            version: "1.0.0+x".to_owned(),
            licence: "MIT".to_owned(),
            repository: None,
            folder: "folder".into(),
            checksum: checksum.map(str::to_owned),
            needs: needs.collect::<BTreeSet<_>>(),
        }
    }

    #[test]
    fn what_is_needed_is_a_component_and_the_program_is_not() {
        let all = [
            linked("own", None, &[("other", "1.0.0+x")]),
            linked("other", Some("ab"), &[]),
        ];
        let beside = [Beside {
            name: "musl",
            version: "1.2.5".to_owned(),
            licence: "MIT",
        }];
        let bill = document("own", &all, &beside, Timestamp::UNIX_EPOCH);
        assert_eq!(bill["metadata"]["component"]["name"], "own");
        let components = bill["components"].as_array().expect("a list").iter();
        let names: Vec<_> = components
            .map(|it| it["name"].as_str().expect("a name"))
            .collect();
        assert_eq!(names, ["other", "musl"]);
        assert_eq!(bill["components"][0]["purl"], "pkg:cargo/other@1.0.0%2Bx");
        let on = &bill["dependencies"][0]["dependsOn"];
        assert_eq!(
            *on,
            json!(["pkg:cargo/other@1.0.0%2Bx", "pkg:generic/musl@1.2.5"])
        );
    }
}

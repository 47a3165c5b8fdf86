//! The star: every crate sees `fc-core` and no sibling, the facade sees all (`ARCHITECTURE.md`).

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// What the workspace's members depend on among each other: member, kind, dependency.
fn edges(manifest: &Value) -> Vec<(&str, &str, &str)> {
    let packages = || manifest["packages"].as_array().expect("cargo metadata lists packages");
    let members: BTreeSet<&str> = packages().iter().filter_map(|p| p["name"].as_str()).collect();
    let mut edges = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().expect("a package has a name");
        for dependency in package["dependencies"].as_array().expect("a list") {
            let on = dependency["name"].as_str().expect("a dependency has a name");
            if members.contains(on) {
                edges.push((name, dependency["kind"].as_str().unwrap_or("normal"), on));
            }
        }
    }
    edges
}

/// Edges that the architecture does not have.
fn off_the_star<'m>(edges: &[(&'m str, &'m str, &'m str)]) -> Vec<(&'m str, &'m str, &'m str)> {
    let allowed = |&&(from, kind, on): &&(&str, &str, &str)| match (from, kind, on) {
        ("fc", "normal" | "dev", _) => true,
        ("fc-core", _, _) => false,
        (_, "normal", "fc-core") => true,
        (_, "dev", "fc-core" | "fc-testkit") => true,
        _ => false,
    };
    edges.iter().filter(|edge| !allowed(edge)).copied().collect()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

#[test]
fn every_crate_sees_the_core_and_no_sibling() {
    let metadata = metadata();
    assert_eq!(off_the_star(&edges(&metadata)), []);
}

#[test]
fn the_facade_sees_every_crate() {
    let metadata = metadata();
    let edges = edges(&metadata);
    let members = metadata["packages"].as_array().unwrap().iter();
    let mut seen: BTreeSet<&str> =
        edges.iter().filter(|edge| edge.0 == "fc").map(|edge| edge.2).collect();
    seen.insert("fc");
    let missing: Vec<&str> = members
        .filter_map(|package| package["name"].as_str())
        .filter(|name| !seen.contains(name))
        .collect();
    assert!(missing.is_empty(), "the facade does not see {missing:?}");
}

/// The check itself: each kind of edge that breaks the star is found.
#[test]
fn a_mesh_is_found() {
    let broken = [
        ("fc-sched", "normal", "fc-runtime"),
        ("fc-core", "dev", "fc-testkit"),
        ("fc-sched", "normal", "fc-testkit"),
        ("fc-trigger", "dev", "fc-sched"),
        ("fc-trigger", "build", "fc-core"),
        ("fc-store", "normal", "fc"),
    ];
    assert_eq!(off_the_star(&broken), broken);
    let sound = [
        ("fc", "normal", "fc-sched"),
        ("fc", "dev", "fc-testkit"),
        ("fc-testkit", "normal", "fc-core"),
        ("fc-sched", "dev", "fc-testkit"),
    ];
    assert_eq!(off_the_star(&sound), []);
}

//! Holds `docs/conformance.md` against the tests: which line is proven by which test is read from the tests' own
//! documentation, so that the page cannot drift.
//!
//! `UPDATE_CONFORMANCE=1 cargo test -p integration-tests --test conformance` writes the page anew.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test that cannot go on fails the test"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What stands where no test cites a line, and no decision is recorded.
const OPEN: &str = "open";

/// How a recorded decision begins; it stays as it was written.
const DECISION: &str = "decision:";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn the_page_says_which_test_proves_which_line() {
    let page = root().join("docs/conformance.md");
    let text = fs::read_to_string(&page).unwrap();
    let expected = with_proofs(&text, &citations());
    if std::env::var_os("UPDATE_CONFORMANCE").is_some() {
        fs::write(&page, expected).unwrap();
    } else {
        let differs = text
            .lines()
            .zip(expected.lines())
            .find(|(is, should)| is != should);
        assert!(
            text == expected,
            "docs/conformance.md has drifted; run with UPDATE_CONFORMANCE=1: {differs:?}"
        );
    }
}

#[test]
fn every_citation_names_a_line_of_the_page() {
    let text = fs::read_to_string(root().join("docs/conformance.md")).unwrap();
    let lines: BTreeSet<&str> = text.lines().filter_map(|line| Some(row(line)?.0)).collect();
    let unknown: Vec<_> = citations()
        .into_iter()
        .filter(|(number, _)| !lines.contains(number.as_str()))
        .collect();
    assert!(
        unknown.is_empty(),
        "these tests cite what is not on the page: {unknown:?}"
    );
}

/// Number, requirement and proof of a row.
fn row(line: &str) -> Option<(&str, &str, &str)> {
    let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.splitn(2, " | ");
    let (number, rest) = (cells.next()?, cells.next()?);
    let (requirement, proof) = rest.rsplit_once(" | ")?;
    is_number(number).then_some((number, requirement, proof))
}

/// The page with the last cell of each row as the tests have it. Decisions stay beside the tests.
fn with_proofs(page: &str, citations: &BTreeMap<String, BTreeSet<String>>) -> String {
    let lines = page.lines().map(|line| match row(line) {
        None => line.to_owned(),
        Some((number, requirement, proof)) => {
            let decision = proof.find(DECISION).map(|start| proof[start..].to_owned());
            let tests = citations
                .get(number)
                .into_iter()
                .flatten()
                .map(|test| format!("`{test}`"));
            let proofs: Vec<String> = tests.chain(decision).collect();
            let proof = if proofs.is_empty() {
                OPEN.to_owned()
            } else {
                proofs.join("<br>")
            };
            format!("| {number} | {requirement} | {proof} |")
        }
    });
    lines.map(|line| line + "\n").collect()
}

/// The tests that cite each line.
fn citations() -> BTreeMap<String, BTreeSet<String>> {
    let mut citations: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for directory in ["crates", "integration-tests"] {
        for file in rust_files(&root().join(directory)) {
            let text = fs::read_to_string(&file).unwrap();
            for (documentation, name) in documented_tests(&text) {
                let test = format!("{}: {name}", package_of(&file));
                for number in numbers(&documentation) {
                    citations.entry(number).or_default().insert(test.clone());
                }
            }
        }
    }
    citations
}

fn package_of(file: &Path) -> String {
    let relative = file.strip_prefix(root()).unwrap();
    let mut parts = relative
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned());
    match parts.next().as_deref() {
        Some("crates") => parts.next().unwrap(),
        _ => "integration-tests".to_owned(),
    }
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The documentation and the name of each test in a file.
fn documented_tests(text: &str) -> Vec<(String, String)> {
    let (mut tests, mut documentation, mut is_test) = (Vec::new(), String::new(), false);
    for line in text.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("/// ") {
            documentation.push_str(words);
            documentation.push(' ');
        } else if line.starts_with("#[") {
            is_test |= line.contains("test]") || line.contains("test(");
        } else {
            let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            if let (true, Some(name)) = (is_test, name) {
                let name = name.split('(').next().unwrap_or_default();
                tests.push((std::mem::take(&mut documentation), name.to_owned()));
            }
            documentation.clear();
            is_test = false;
        }
    }
    tests
}

/// The numbers at the head of a test's documentation, before its first sentence: `M3, M5: …` or `T1/T2.`
fn numbers(documentation: &str) -> Vec<String> {
    let head = documentation.split([':', '.']).next().unwrap_or_default();
    head.split(|character: char| !character.is_ascii_alphanumeric())
        .filter(|word| is_number(word))
        .map(str::to_owned)
        .collect()
}

fn is_number(word: &str) -> bool {
    let mut characters = word.chars();
    characters
        .next()
        .is_some_and(|letter| "TNMIPJOBRDAHWSXFK".contains(letter))
        && (1..=2).contains(&characters.as_str().len())
        && characters.all(|digit| digit.is_ascii_digit())
}

use std::slice;

use clap::CommandFactory;

use super::*;

fn parsed(arguments: &[&str]) -> Arguments {
    Arguments::try_parse_from(std::iter::once("client").chain(arguments.iter().copied())).unwrap()
}

fn call(arguments: &[&str]) -> Call {
    parsed(arguments).command.prepare().unwrap().unwrap()
}

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn calls_the_demo_without_a_flag() {
    let arguments = parsed(&["call"]);
    assert_eq!(arguments.identity.client_id, "partner-client");
    assert_eq!(arguments.servers.token_endpoint, DEMO_TOKEN_ENDPOINT);
    assert_eq!(arguments.servers.connect_to.len(), 2);
    let call = call(&["call"]);
    assert_eq!(
        (call.method, call.url.as_str(), call.body),
        (Method::POST, DEMO_URL, None)
    );
}

#[test]
fn gets_other_urls_and_posts_data() {
    let url = "https://api.example.com/orders";
    assert_eq!(call(&["call", url]).method, Method::GET);
    assert_eq!(call(&["call", url, "--data", "{}"]).method, Method::POST);
    assert_eq!(
        call(&["call", url, "--data", "{}", "--method", "PUT"]).method,
        Method::PUT
    );
    assert_eq!(call(&["call", "--include"]).head, Head::Printed);
}

#[test]
fn refuses_data_that_is_no_json_before_anything_is_called() {
    let error = parsed(&["call", "--data", "{"]).command.prepare().unwrap_err();
    assert!(error.to_string().contains("--data"), "{error}");
}

#[test]
fn a_mapping_of_ones_own_replaces_the_demos() {
    let mappings = |arguments: &[&str]| parsed(arguments).servers.connect_to;
    let own = Mapping::HostTo("a.example=127.0.0.1:1".into());
    let other = Mapping::HostTo("b.example=127.0.0.1:2".into());
    assert_eq!(
        mappings(&["--connect-to", "a.example=127.0.0.1:1", "call"]).as_slice(),
        slice::from_ref(&own)
    );
    assert_eq!(
        mappings(&[
            "call",
            "--connect-to",
            "a.example=127.0.0.1:1",
            "--connect-to",
            "b.example=127.0.0.1:2"
        ]),
        [own.clone(), other.clone()]
    );
    assert_eq!(
        mappings(&[
            "--connect-to",
            "a.example=127.0.0.1:1,b.example=127.0.0.1:2",
            "call"
        ]),
        [own, other]
    );
    assert_eq!(mappings(&["--connect-to", "none", "call"]), [Mapping::None]);
}

#[test]
fn every_flag_is_an_environment_variable_of_that_name() {
    let command = Arguments::command();
    let commands = std::iter::once(&command).chain(command.get_subcommands());
    for flag in commands
        .flat_map(clap::Command::get_arguments)
        .filter(|flag| flag.get_long().is_some())
    {
        let name = flag.get_long().unwrap();
        let expected = format!("CERTBOUND_{}", name.to_uppercase().replace('-', "_"));
        assert!(
            flag.get_env().is_some_and(|env| env == expected.as_str()),
            "{name}"
        );
    }
}

#[test]
fn the_archive_needs_a_password_and_says_where_from() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("client.p12");
    std::fs::write(&archive, b"no archive").unwrap();
    let password = directory.path().join("password");
    std::fs::write(&password, "Password1\n").unwrap();
    let archive = archive.to_str().unwrap();

    let error = parsed(&["--p12", "absent.p12", "call"])
        .identity
        .credentials()
        .unwrap_err();
    assert!(format!("{error:#}").contains("absent.p12"), "{error:#}");
    let with_password = parsed(&[
        "--p12",
        archive,
        "--password-file",
        password.to_str().unwrap(),
        "call",
    ]);
    assert_eq!(with_password.identity.password().unwrap(), "Password1");
    let error = with_password.identity.credentials().unwrap_err();
    assert!(format!("{error:#}").contains(archive), "{error:#}");
}

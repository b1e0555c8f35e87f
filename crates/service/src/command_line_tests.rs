use std::net::TcpListener;

use super::*;
use crate::configuration::Problems;

const ABOUT: About = About {
    name: "sample-api",
    description: "An API.",
};

fn command_line(arguments: &[&str]) -> impl Iterator<Item = OsString> {
    std::iter::once("sample-api")
        .chain(arguments.iter().copied())
        .map(OsString::from)
}

fn parsed(arguments: &[&str]) -> Result<Arguments, clap::Error> {
    parse(ABOUT, Commands::default(), command_line(arguments))
}

/// The exit code of a service that starts nothing and is configured by `load`.
fn exit_code(
    arguments: &[&str],
    load: impl Fn(ConfigurationSource) -> Result<SocketAddr, ConfigurationError>,
) -> u8 {
    let start = async |_, shutdown| Ok(Running::new(shutdown));
    run_with(
        ABOUT,
        Commands::default(),
        command_line(arguments),
        load,
        |admin| Some(*admin),
        start,
    )
}

fn some_address() -> SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

#[test]
fn without_an_argument_the_demo_configuration_applies() {
    let arguments = parsed(&[]).unwrap();
    assert_eq!(arguments.source(), ConfigurationSource::Demo);
    assert!(!arguments.check_config && arguments.command.is_none());
}

#[test]
fn accepts_every_flag_and_the_configuration_after_the_subcommand_too() {
    let arguments = parsed(&["--config", "a.toml", "--check-config", "--log-format", "json"]).unwrap();
    assert_eq!(arguments.source(), ConfigurationSource::File("a.toml".into()));
    assert!(arguments.check_config);
    assert_eq!(arguments.log_format, LogFormat::Json);
    let arguments = parsed(&["healthcheck", "--config", "a.toml"]).unwrap();
    assert!(matches!(arguments.command, Some(Command::Healthcheck)));
    assert_eq!(arguments.source(), ConfigurationSource::File("a.toml".into()));
}

#[test]
fn the_help_names_the_environment_the_file_and_the_subcommand() {
    let help = parsed(&["--help"]).unwrap_err().to_string();
    for word in [
        "CERTBOUND_CONFIG",
        "CERTBOUND_CHECK_CONFIG",
        "CERTBOUND_LOG_FORMAT",
        "RUST_LOG",
        "deploy/sample-api.toml",
        "healthcheck",
    ] {
        assert!(help.contains(word), "{word} is missing in:\n{help}");
    }
}

#[test]
fn exits_0_after_an_orderly_end() {
    assert_eq!(exit_code(&[], |_| Ok(some_address())), 0);
}

#[test]
fn exits_0_when_a_checked_configuration_is_valid_and_starts_nothing() {
    let start = async |_, _| -> anyhow::Result<Running> { panic!("a check starts nothing") };
    let load = |_| Ok(some_address());
    assert_eq!(
        run_with(
            ABOUT,
            Commands::default(),
            command_line(&["--check-config"]),
            load,
            |_| None,
            start
        ),
        0
    );
}

#[test]
fn exits_64_on_a_configuration_error() {
    let invalid = |_| {
        let mut problems = Problems::new();
        problems.add("listen.tls", "is missing");
        problems.into_result(some_address())
    };
    for arguments in [&[][..], &["--check-config"], &["healthcheck"]] {
        assert_eq!(exit_code(arguments, invalid), 64);
    }
    let absent = |source| match source {
        ConfigurationSource::File(path) => crate::read_toml(&path),
        ConfigurationSource::Demo => Ok(some_address()),
    };
    assert_eq!(exit_code(&["--config", "absent.toml"], absent), 64);
}

#[test]
fn exits_1_when_the_service_cannot_start() {
    let start = async |_, _| anyhow::bail!("listen.tls: the address is in use");
    assert_eq!(
        run_with(
            ABOUT,
            Commands::default(),
            command_line(&[]),
            |_| Ok(()),
            |()| None,
            start
        ),
        1
    );
}

#[test]
fn exits_64_on_arguments_that_are_not_understood_and_0_on_questions_about_them() {
    for wrong in [
        &["--confg", "a.toml"][..],
        &["--log-format", "xml"],
        &["--config"],
        &["healthchek"],
    ] {
        assert_eq!(exit_code(wrong, |_| Ok(some_address())), 64, "{wrong:?}");
    }
    for question in ["--help", "-h", "--version"] {
        assert_eq!(exit_code(&[question], |_| Ok(some_address())), 0, "{question}");
    }
}

/// What is broken by hand must fit an ordinary terminal, or it is broken again.
#[test]
fn the_help_has_no_line_of_its_own_that_is_too_long() {
    let longest = About {
        name: "authorization-server",
        ..ABOUT
    };
    let help = parse(longest, Commands::default(), command_line(&["--help"]))
        .unwrap_err()
        .to_string();
    let examples = help.split_once("Examples:").unwrap().1;
    for line in examples.lines().filter(|line| line.starts_with(' ')) {
        assert!(line.len() <= 80, "{line}");
    }
}

#[test]
fn exits_1_from_the_healthcheck_of_a_service_that_is_not_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(exit_code(&["healthcheck"], |_| Ok(address)), 1);
}

#[test]
fn a_healthcheck_without_an_admin_listener_fails_and_says_what_to_set() {
    assert!(
        check_health(None)
            .unwrap_err()
            .to_string()
            .contains("listen.admin")
    );
}

#[test]
fn runs_a_command_of_its_own_without_the_configuration_and_names_it_in_the_help() {
    const COMMANDS: Commands<'_> = Commands {
        operations: &[],
        plain: &[
            PlainCommand {
                name: "succeed",
                about: "Does nothing well.",
                run: || Ok(()),
            },
            PlainCommand {
                name: "fail",
                about: "Does nothing badly.",
                run: || anyhow::bail!("as announced"),
            },
        ],
    };
    let exit_code = |command: &str| {
        let load = |_| -> Result<SocketAddr, ConfigurationError> { panic!("no configuration is needed") };
        let start = async |_, shutdown| Ok(Running::new(shutdown));
        run_with(ABOUT, COMMANDS, command_line(&[command]), load, |_| None, start)
    };
    assert_eq!((exit_code("succeed"), exit_code("fail")), (SUCCESS, FAILURE));
    assert_eq!(exit_code("unheard-of"), USAGE);
    let help = parse(ABOUT, COMMANDS, command_line(&["--help"])).unwrap_err();
    assert!(help.to_string().contains("Does nothing well."), "{help}");
}

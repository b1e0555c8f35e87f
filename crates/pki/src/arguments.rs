//! The command line: every flag is also the environment variable `CERTBOUND_` plus its name.
//!
//! Not so the flags that destroy (`--force`, `--anew`), which are to be meant each time, and `--p12`, whose variable is
//! the name of the client's archive.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use pki::{Days, FileName, KeyAlgorithm, Overwrite, Owner, Share, Subject, SubjectAlternativeName, Usage};

const EXAMPLES: &str = "\
Examples:
  pki init
      make certs/ complete; touch nothing that is there
  pki init --renew-expired
      and certify again what has expired
  pki issue client acme --subject 'CN=acme,O=Acme\\, Inc.,C=SE' --p12
  pki issue server api2 --san-dns api2.example.com --san-ip 10.0.0.7
  pki sign partner.csr --out partner.pem
  pki revoke certs/acme.client.pem
  pki crl
      sign the revocation list again before it runs out
  pki show certs/example.client.pem
      what to put into the registration

From the repository: cargo run -p pki -- init

Exit codes: 0 done, 1 failed, 64 the command line is wrong.";

/// A small certificate authority: one root, its servers, its clients and its revocation list.
#[derive(Debug, Parser)]
#[command(name = "pki", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// Refuses what each flag alone may say, but not all of them together.
    pub(crate) fn checked(self) -> Result<Self, clap::Error> {
        match &self.command {
            Command::Issue(Issue::Server(leaf)) if !leaf.names.names_a_host() => Err(Self::command().error(
                ErrorKind::MissingRequiredArgument,
                "a server is known by its subjectAltNames alone, whatever NAME and subject say: give its host by \
                 --san-dns or --san-ip",
            )),
            _ => Ok(self),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the certificates directory: root, servers, clients, revocation list, refused fixtures.
    ///
    /// Only what is missing is made. If all is there and valid, nothing changes and the exit code is 0.
    Init(Init),
    /// Make the certificates directory complete, then give each service of a deployment its own copies.
    ///
    /// Meant for root, as whom a deployment runs it: what it makes is given to the owner of the certificates directory,
    /// and a service's copies, all 0600, to the service. What has expired is certified again.
    Provision(Provision),
    /// Make one more key and certificate: NAME.client.* or NAME.tls.*
    #[command(subcommand)]
    Issue(Issue),
    /// Sign a partner's certificate signing request.
    ///
    /// The request's own signature must prove possession of the key. Its key and subject are taken over, and those of
    /// its subjectAltNames that the operator grants; nothing else: a request for CA rights or other usages goes
    /// unheard. A server's must name a host.
    Sign(Sign),
    /// Add a certificate to root.crl.pem.
    Revoke(Revoke),
    /// Sign root.crl.pem again, with fresh dates and the next CRL number.
    ///
    /// The list is the only record of what was revoked: keep a backup of it beside that of the root.
    Crl(Crl),
    /// Show a certificate: subject (RFC 4514), names, validity, x5t#S256, and what to register.
    Show(Show),
}

#[derive(Debug, Args)]
pub(crate) struct Directory {
    /// Where the root and its certificates lie
    #[arg(
        long,
        env = "CERTBOUND_DIR",
        value_name = "DIRECTORY",
        default_value = "certs"
    )]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    #[command(flatten)]
    pub(crate) directory: Directory,
    /// Replace everything, keys and root included: certificates issued so far are worthless afterwards
    #[arg(long, conflicts_with = "renew_expired")]
    pub(crate) force: bool,
    /// Certify again what has expired or will within a day, under the same key; the revocation list too
    #[arg(long, env = "CERTBOUND_RENEW_EXPIRED", value_parser = BoolishValueParser::new())]
    pub(crate) renew_expired: bool,
    #[command(flatten)]
    pub(crate) key: Key,
}

#[derive(Debug, Args)]
pub(crate) struct Provision {
    #[command(flatten)]
    pub(crate) directory: Directory,
    /// Whom the services run as
    #[arg(long, env = "CERTBOUND_OWNER", value_name = "UID:GID")]
    pub(crate) owner: Owner,
    /// What one service gets and where; whatever else lies there is removed; repeatable
    #[arg(
        long,
        env = "CERTBOUND_SHARE",
        value_name = "DIRECTORY=FILE,..",
        required = true
    )]
    pub(crate) share: Vec<Share>,
    #[command(flatten)]
    pub(crate) key: Key,
}

#[derive(Debug, Args)]
pub(crate) struct Key {
    /// The kind of key to make: ecdsa-p256, rsa-2048, rsa-3072 or rsa-4096
    #[arg(
        long,
        env = "CERTBOUND_KEY_ALGORITHM",
        value_name = "ALGORITHM",
        default_value_t
    )]
    pub(crate) key_algorithm: KeyAlgorithm,
}

#[derive(Debug, Args)]
pub(crate) struct Force {
    /// Overwrite files that are there
    #[arg(long)]
    force: bool,
}

impl Force {
    pub(crate) const fn overwrite(&self) -> Overwrite {
        if self.force {
            Overwrite::Replace
        } else {
            Overwrite::Refuse
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Issue {
    /// A client certificate (clientAuth), as NAME.client.pem and NAME.client.key
    Client(NewLeaf),
    /// A server certificate (serverAuth), as NAME.tls.pem and NAME.tls.key
    ///
    /// Its hosts are read from --san-dns and --san-ip alone: at least one of them must be given.
    Server(NewLeaf),
}

#[derive(Debug, Args)]
pub(crate) struct NewLeaf {
    /// What the files are called; also the subject's CN, unless there is a --subject
    #[arg(value_name = "NAME")]
    pub(crate) name: FileName,
    #[command(flatten)]
    pub(crate) directory: Directory,
    /// The subject as in RFC 4514, most specific part first [default: CN=NAME]
    #[arg(long, env = "CERTBOUND_SUBJECT", value_name = "DN")]
    pub(crate) subject: Option<Subject>,
    #[command(flatten)]
    pub(crate) names: Names,
    #[command(flatten)]
    pub(crate) lifetime: LeafLifetime,
    #[command(flatten)]
    pub(crate) key: Key,
    /// Write NAME.*.p12 as well: certificate, key and root, password `Password1`. Without it, --force
    /// removes the one with the former key
    #[arg(long)]
    pub(crate) p12: bool,
    #[command(flatten)]
    pub(crate) force: Force,
}

/// The subjectAltNames that the operator gives.
#[derive(Debug, Args)]
pub(crate) struct Names {
    /// A host name; repeatable
    #[arg(long, env = "CERTBOUND_SAN_DNS", value_name = "HOST", value_delimiter = ',', value_parser = SubjectAlternativeName::dns)]
    san_dns: Vec<SubjectAlternativeName>,
    /// An IP address; repeatable
    #[arg(long, env = "CERTBOUND_SAN_IP", value_name = "ADDRESS", value_delimiter = ',', value_parser = SubjectAlternativeName::ip)]
    san_ip: Vec<SubjectAlternativeName>,
    /// A URI; repeatable
    #[arg(long, env = "CERTBOUND_SAN_URI", value_name = "URI", value_parser = SubjectAlternativeName::uri)]
    san_uri: Vec<SubjectAlternativeName>,
    /// An e-mail address; repeatable
    #[arg(long, env = "CERTBOUND_SAN_EMAIL", value_name = "ADDRESS", value_delimiter = ',', value_parser = SubjectAlternativeName::email)]
    san_email: Vec<SubjectAlternativeName>,
}

impl Names {
    /// All names of the subjectAltName extension, hosts first.
    pub(crate) fn all(&self) -> Vec<SubjectAlternativeName> {
        [&self.san_dns, &self.san_ip, &self.san_uri, &self.san_email]
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    fn names_a_host(&self) -> bool {
        !self.san_dns.is_empty() || !self.san_ip.is_empty()
    }
}

#[derive(Debug, Args)]
pub(crate) struct LeafLifetime {
    /// How long it is valid, at most 825 days [default: 365 for a client, 825 for a server]
    #[arg(long, env = "CERTBOUND_DAYS", value_name = "DAYS", value_parser = leaf_days)]
    days: Option<Days>,
}

impl LeafLifetime {
    pub(crate) fn for_usage(&self, usage: Usage) -> Days {
        self.days.unwrap_or(match usage {
            Usage::Server => Days::SERVER,
            Usage::Client => Days::CLIENT,
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The request, PEM or DER
    #[arg(value_name = "CSR")]
    pub(crate) request: PathBuf,
    #[command(flatten)]
    usage: RequestedUsage,
    #[command(flatten)]
    pub(crate) names: Names,
    /// The subject that is signed although a certificate in the directory carries it already, as for a renewal
    #[arg(long, env = "CERTBOUND_SUBJECT", value_name = "DN")]
    pub(crate) subject: Option<Subject>,
    #[command(flatten)]
    pub(crate) directory: Directory,
    #[command(flatten)]
    pub(crate) lifetime: LeafLifetime,
    /// Where the certificate goes [default: standard output]
    #[arg(long, env = "CERTBOUND_OUT", value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) force: Force,
}

impl Sign {
    pub(crate) const fn usage(&self) -> Usage {
        if self.usage.server {
            Usage::Server
        } else {
            Usage::Client
        }
    }
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct RequestedUsage {
    /// Certify a client (clientAuth) [default]
    #[arg(long, env = "CERTBOUND_CLIENT", value_parser = BoolishValueParser::new())]
    client: bool,
    /// Certify a server (serverAuth)
    #[arg(long, env = "CERTBOUND_SERVER", value_parser = BoolishValueParser::new())]
    server: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The certificate, PEM or DER
    #[arg(value_name = "FILE")]
    pub(crate) certificate: PathBuf,
    #[command(flatten)]
    pub(crate) directory: Directory,
}

#[derive(Debug, Args)]
pub(crate) struct Crl {
    #[command(flatten)]
    pub(crate) directory: Directory,
    /// How long readers may believe the list, at most 365 days [default: 30]
    #[arg(long, env = "CERTBOUND_DAYS", value_name = "DAYS", value_parser = revocation_list_days)]
    pub(crate) days: Option<Days>,
    /// Start with an empty list in place of a lost one: whatever was revoked before is let in again
    #[arg(long)]
    pub(crate) anew: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The certificate, PEM or DER; of several, the first is shown
    #[arg(value_name = "FILE")]
    pub(crate) certificate: PathBuf,
    /// As one JSON object
    #[arg(long, env = "CERTBOUND_JSON", value_parser = BoolishValueParser::new())]
    pub(crate) json: bool,
}

fn leaf_days(text: &str) -> Result<Days, String> {
    let days = text.parse().map_err(|_| "not a number of days".to_owned())?;
    Days::of_leaf(days).map_err(|error| error.to_string())
}

fn revocation_list_days(text: &str) -> Result<Days, String> {
    let days = text.parse().map_err(|_| "not a number of days".to_owned())?;
    Days::of_revocation_list(days).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn names_an_environment_variable_for_every_flag_but_those_to_be_meant_each_time() {
        fn check(command: &clap::Command) {
            for argument in command
                .get_arguments()
                .filter(|a| a.get_long().is_some_and(|l| l != "help" && l != "version"))
            {
                let name = argument.get_long().unwrap().to_uppercase().replace('-', "_");
                let expected = format!("CERTBOUND_{name}");
                let expected = (!["FORCE", "ANEW", "P12"].contains(&name.as_str())).then_some(expected);
                assert_eq!(
                    argument.get_env().and_then(|env| env.to_str()),
                    expected.as_deref()
                );
            }
            command.get_subcommands().for_each(check);
        }
        check(&Arguments::command());
    }

    #[test]
    fn accepts_a_client_with_names_of_every_type() {
        let arguments = Arguments::try_parse_from([
            "pki",
            "issue",
            "client",
            "acme",
            "--subject",
            "CN=acme,C=SE",
            "--san-dns",
            "a.example,b.example",
            "--san-ip",
            "::1",
            "--san-uri",
            "urn:a,b",
            "--san-email",
            "a@example.com",
            "--days",
            "1",
        ]);
        let Command::Issue(Issue::Client(leaf)) = arguments.unwrap().command else {
            panic!("another command")
        };
        let names: Vec<_> = leaf.names.all().iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "DNS:a.example",
                "DNS:b.example",
                "IP:::1",
                "URI:urn:a,b",
                "email:a@example.com"
            ]
        );
    }

    #[test]
    fn refuses_what_cannot_be_meant() {
        for line in [
            "pki issue client ../acme",
            "pki issue client acme --subject acme",
            "pki issue client acme --days 826",
            "pki issue client acme --days 0",
            "pki issue server acme --san-dns a..b",
            "pki issue server acme",
            "pki sign a.csr --client --server",
            "pki init --force --renew-expired",
            "pki init --key-algorithm rsa-1024",
            "pki crl --days 366",
        ] {
            let arguments = Arguments::try_parse_from(line.split(' ')).and_then(Arguments::checked);
            assert!(arguments.is_err(), "{line}");
        }
    }
}

//! What each command does, and what it says about it.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use oauth_core::time::Timestamp;
use pki::{
    Authority, Certificate, CertificateRequest, Days, Description, Existing, Leaf, Outcome,
    PKCS12_ITERATIONS, Pkcs12, Preparation, Report, Usage, Validity, give_to_directory_owner, prepare,
    write_public,
};

use crate::arguments::{Command, Crl, Init, Issue, NewLeaf, Provision, Revoke, Show, Sign};

/// Does what the command line asks for, and says so on `out`.
pub(crate) fn run(command: &Command, out: &mut impl Write, now: Timestamp) -> Result<()> {
    match command {
        Command::Init(arguments) => init(arguments, out, now),
        Command::Provision(arguments) => provision(arguments, out, now),
        Command::Issue(Issue::Client(arguments)) => issue(Usage::Client, arguments, out, now),
        Command::Issue(Issue::Server(arguments)) => issue(Usage::Server, arguments, out, now),
        Command::Sign(arguments) => sign(arguments, out, now),
        Command::Revoke(arguments) => revoke(arguments, out, now),
        Command::Crl(arguments) => crl(arguments, out, now),
        Command::Show(arguments) => show(arguments, out, now),
    }
}

fn init(arguments: &Init, out: &mut impl Write, now: Timestamp) -> Result<()> {
    let preparation = Preparation {
        existing: match (arguments.force, arguments.renew_expired) {
            (true, _) => Existing::Replace,
            (false, true) => Existing::RenewExpired,
            (false, false) => Existing::Keep,
        },
        key_algorithm: arguments.key.key_algorithm,
        pkcs12: Pkcs12::Write {
            iterations: PKCS12_ITERATIONS,
        },
    };
    let directory = &arguments.directory.dir;
    let report = prepare(directory, &preparation, now)?;
    tell(&report, directory, out)?;
    let expired: Vec<_> = report
        .with(Outcome::Expired)
        .map(|path| path.display().to_string())
        .collect();
    if !expired.is_empty() {
        bail!(
            "expired, or will within a day: {}; run init --renew-expired",
            expired.join(", ")
        );
    }
    Ok(())
}

fn provision(arguments: &Provision, out: &mut impl Write, now: Timestamp) -> Result<()> {
    let preparation = Preparation {
        key_algorithm: arguments.key.key_algorithm,
        ..Preparation::DEMO
    };
    let directory = &arguments.directory.dir;
    let report = prepare(directory, &preparation, now)?;
    tell(&report, directory, out)?;
    give_to_directory_owner(directory)?;
    for share in &arguments.share {
        share.hand_out(directory, arguments.owner)?;
        writeln!(out, "handed   {share}")?;
    }
    Ok(())
}

fn tell(report: &Report, directory: &Path, out: &mut impl Write) -> Result<()> {
    for entry in &report.entries {
        match entry.outcome {
            Outcome::Made => writeln!(out, "made     {}", entry.path.display())?,
            Outcome::Renewed => writeln!(out, "renewed  {}", entry.path.display())?,
            Outcome::Kept | Outcome::Expired => {}
        }
    }
    if report.entries.iter().all(|entry| entry.outcome == Outcome::Kept) {
        writeln!(
            out,
            "{}: everything is there and valid; nothing was changed",
            directory.display()
        )?;
    }
    Ok(())
}

fn issue(usage: Usage, arguments: &NewLeaf, out: &mut impl Write, now: Timestamp) -> Result<()> {
    let authority = Authority::open(&arguments.directory.dir)?;
    let leaf = leaf(usage, arguments, now)?;
    let pkcs12 = if arguments.p12 {
        Pkcs12::Write {
            iterations: PKCS12_ITERATIONS,
        }
    } else {
        Pkcs12::Skip
    };
    let algorithm = arguments.key.key_algorithm;
    let issued = authority.issue(
        &arguments.name,
        usage,
        &leaf,
        algorithm,
        pkcs12,
        arguments.force.overwrite(),
    )?;
    for path in &issued.made {
        writeln!(out, "made     {}", path.display())?;
    }
    if let Some(path) = &issued.removed {
        writeln!(
            out,
            "removed  {}: it held the former key; --p12 makes a new one",
            path.display()
        )?;
    }
    write!(out, "\n{}", Description::of(&issued.certificate, now)?)?;
    Ok(())
}

fn leaf(usage: Usage, arguments: &NewLeaf, now: Timestamp) -> Result<Leaf> {
    let name = arguments.name.as_str();
    let subject = arguments
        .subject
        .clone()
        .map_or_else(|| format!("CN={name}").parse(), Ok)?;
    let validity = Validity::starting(arguments.lifetime.for_usage(usage), now);
    Ok(Leaf {
        subject,
        subject_alternative_names: arguments.names.all(),
        validity,
    })
}

fn sign(arguments: &Sign, out: &mut impl Write, now: Timestamp) -> Result<()> {
    let path = &arguments.request;
    let request =
        CertificateRequest::from_pem_or_der(&read(path)?).with_context(|| path.display().to_string())?;
    let authority = Authority::open(&arguments.directory.dir)?;
    let usage = arguments.usage();
    let validity = Validity::starting(arguments.lifetime.for_usage(usage), now);
    if arguments
        .subject
        .as_ref()
        .is_none_or(|subject| !subject.is_same(request.subject()))
    {
        authority
            .verify_subject_is_free(request.subject())
            .with_context(|| path.display().to_string())?;
    }
    let certificate = authority
        .root()
        .sign_request(&request, &arguments.names.all(), usage, validity)
        .with_context(|| path.display().to_string())?;
    let pem = certificate.pem()?;
    let Some(path) = &arguments.out else {
        write!(out, "{pem}")?;
        return Ok(());
    };
    write_public(path, pem.as_bytes(), arguments.force.overwrite())?;
    write!(
        out,
        "made     {}\n\n{}",
        path.display(),
        Description::of(&certificate, now)?
    )?;
    Ok(())
}

fn revoke(arguments: &Revoke, out: &mut impl Write, now: Timestamp) -> Result<()> {
    let path = &arguments.certificate;
    let certificate = read_certificate(path)?;
    let authority = Authority::open(&arguments.directory.dir)?;
    match authority
        .revoke(&certificate, now)
        .with_context(|| path.display().to_string())?
    {
        Some(list) => writeln!(
            out,
            "revoked  {} ({}); root.crl.pem is now number {}: hand it to every listener that trusts this root",
            path.display(),
            certificate.subject(),
            list.number()
        )?,
        None => writeln!(out, "{} was revoked already; nothing was changed", path.display())?,
    }
    Ok(())
}

fn crl(arguments: &Crl, out: &mut impl Write, now: Timestamp) -> Result<()> {
    let authority = Authority::open(&arguments.directory.dir)?;
    let lifetime = arguments.days.unwrap_or(Days::REVOCATION_LIST);
    let list = if arguments.anew {
        authority.restart_revocation_list(lifetime, now)?
    } else {
        authority.renew_revocation_list(lifetime, now)?
    };
    writeln!(
        out,
        "signed   root.crl.pem, number {}, {} revoked",
        list.number(),
        list.revoked().len()
    )?;
    Ok(())
}

fn show(arguments: &Show, out: &mut impl Write, now: Timestamp) -> Result<()> {
    let path = &arguments.certificate;
    let description =
        Description::of(&read_certificate(path)?, now).with_context(|| path.display().to_string())?;
    if arguments.json {
        writeln!(out, "{:#}", description.to_json())?;
    } else {
        write!(out, "{description}")?;
    }
    Ok(())
}

fn read_certificate(path: &Path) -> Result<Certificate> {
    Certificate::from_pem_or_der(&read(path)?).with_context(|| path.display().to_string())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} cannot be read; is the path right?", path.display()))
}

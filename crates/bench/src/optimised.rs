//! The services built with a profile of their own: once with counters, trained on the jobs, and again by what was
//! counted, so that what requests execute lies together and the rest out of the way.
//!
//! The profile stays until it is made anew; later builds use it, whatever has changed since, and what is new in them is
//! optimised as ever.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::systems::build_services;

/// What merges counts: newer ones read those of older compilers, and often the other way round.
const NEWEST_LLVM: u8 = 30;
/// The first whose counts rustc's can be read with.
const OLDEST_LLVM: u8 = 19;

/// Where everything of it lies: `target/optimised`.
#[derive(Clone, Debug)]
pub(crate) struct Optimised {
    directory: PathBuf,
    host: String,
}

impl Optimised {
    /// Beside the directory of ordinary binaries.
    ///
    /// # Errors
    ///
    /// Where there is no rustc.
    pub(crate) fn beside(binaries: &Path) -> anyhow::Result<Self> {
        let target = binaries.parent().context("the binaries are in no directory")?;
        let version = rustc(&["--version", "--verbose"])?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        Ok(Self {
            directory: target.join("optimised"),
            host: host.context("rustc names no host")?.to_owned(),
        })
    }

    /// The profile, if one was made.
    pub(crate) fn profile(&self) -> Option<PathBuf> {
        let files = fs::read_dir(&self.directory).ok()?;
        let mut files = files.filter_map(|file| Some(file.ok()?.path()));
        files.find(|file| file.extension() == Some(OsStr::new("profdata")))
    }

    /// Builds the services with the profile, and gives the directory of the binaries.
    ///
    /// # Errors
    ///
    /// Services that do not build.
    pub(crate) fn build(&self, profile: &Path) -> anyhow::Result<PathBuf> {
        self.build_with(&self.directory, "profile-use", profile)
    }

    /// Builds the services with counters; they write what they count into an empty directory when they end.
    ///
    /// # Errors
    ///
    /// Nothing installed that reads counts; services that do not build.
    pub(crate) fn build_counting(&self) -> anyhow::Result<PathBuf> {
        mergers()?;
        let counts = self.counts();
        if counts.exists() {
            fs::remove_dir_all(&counts).with_context(|| counts.display().to_string())?;
        }
        fs::create_dir_all(&counts).with_context(|| counts.display().to_string())?;
        self.build_with(&self.directory.join("counting"), "profile-generate", &counts)
    }

    /// Makes the profile of what was counted, in place of any other.
    ///
    /// # Errors
    ///
    /// Counts that nothing installed can read.
    pub(crate) fn keep_what_was_counted(&self) -> anyhow::Result<PathBuf> {
        let merged = self.directory.join("merged");
        let counts = files_of(&self.counts())?;
        ensure!(!counts.is_empty(), "the services have counted nothing");
        let mut words = String::new();
        let is_merged = mergers()?.iter().any(|merger| {
            let output = Command::new(merger)
                .args(["merge", "--sparse", "--output"])
                .arg(&merged)
                .args(&counts)
                .output();
            match output {
                Ok(output) if output.status.success() => true,
                Ok(output) => {
                    words = String::from_utf8_lossy(&output.stderr).into_owned();
                    false
                }
                Err(_) => false,
            }
        });
        ensure!(
            is_merged,
            "no installed llvm-profdata reads the counts: {words}\n{REMEDY}"
        );
        if let Some(former) = self.profile() {
            fs::remove_file(&former).with_context(|| former.display().to_string())?;
        }
        // Cargo looks at the name alone, to tell whether it has to build anew.
        let digest = Sha256::digest(fs::read(&merged)?);
        let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let profile = self.directory.join(name).with_extension("profdata");
        fs::rename(&merged, &profile).with_context(|| profile.display().to_string())?;
        Ok(profile)
    }

    fn counts(&self) -> PathBuf {
        self.directory.join("counts")
    }

    fn build_with(&self, target: &Path, flag: &str, value: &Path) -> anyhow::Result<PathBuf> {
        fs::create_dir_all(target).with_context(|| target.display().to_string())?;
        let (target, value) = (target.canonicalize()?, value.canonicalize()?);
        let binaries = target.join(&self.host).join("release");
        let flags = flags(
            env::var("CARGO_ENCODED_RUSTFLAGS").ok(),
            env::var("RUSTFLAGS").ok(),
            format!("-C{flag}={}", value.display()),
        );
        // An explicit target keeps the flags away from build scripts, which would be counted too.
        build_services(&binaries, |cargo| {
            cargo
                .args(["--target", &self.host])
                .arg("--target-dir")
                .arg(&target);
            cargo.env("CARGO_ENCODED_RUSTFLAGS", &flags);
        })?;
        Ok(binaries)
    }
}

/// Those that cargo would use, and one more, in the form in which a path may hold blanks.
fn flags(encoded: Option<String>, plain: Option<String>, one_more: String) -> String {
    let plain = || plain.map(|plain| plain.split_whitespace().collect::<Vec<_>>().join("\x1f"));
    match encoded.or_else(plain).filter(|given| !given.is_empty()) {
        Some(given) => format!("{given}\x1f{one_more}"),
        None => one_more,
    }
}

const REMEDY: &str = "install one: rustup component add llvm-tools, or on Debian: apt install llvm-19";

/// Every `llvm-profdata` there is, rustc's own first, then the newest.
fn mergers() -> anyhow::Result<Vec<OsString>> {
    let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?.trim());
    let own = fs::read_dir(sysroot.join("lib/rustlib")).into_iter().flatten();
    let own = own.filter_map(|target| Some(target.ok()?.path().join("bin/llvm-profdata").into_os_string()));
    let versions = (OLDEST_LLVM..=NEWEST_LLVM).rev();
    let versions = versions.map(|version| format!("llvm-profdata-{version}").into());
    let found: Vec<OsString> = own
        .chain(versions)
        .chain(["llvm-profdata".into()])
        .filter(|merger| is_there(merger))
        .collect();
    if found.is_empty() {
        bail!("llvm-profdata is not installed; {REMEDY}");
    }
    Ok(found)
}

fn is_there(program: &OsStr) -> bool {
    let mut version = Command::new(program);
    version
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

fn rustc(arguments: &[&str]) -> anyhow::Result<String> {
    let program = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(program)
        .args(arguments)
        .output()
        .context("rustc does not start")?;
    ensure!(output.status.success(), "rustc {} fails", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

fn files_of(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let files = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    files.map(|file| Ok(file?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_profile_that_was_made_and_no_other_file() {
        let directory = env::temp_dir().join(format!("certbound-optimised-{}", std::process::id()));
        let optimised = Optimised {
            directory: directory.clone(),
            host: "host".into(),
        };
        assert_eq!(optimised.profile(), None);
        fs::create_dir_all(directory.join("counts")).unwrap();
        assert_eq!(optimised.profile(), None);
        let profile = directory.join("0011.profdata");
        fs::write(&profile, "").unwrap();
        assert_eq!(optimised.profile(), Some(profile));
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn adds_a_flag_to_those_that_cargo_would_use() {
        let of = |encoded: Option<&str>, plain: Option<&str>| {
            flags(encoded.map(Into::into), plain.map(Into::into), "-Ca=/b c".into())
        };
        assert_eq!(of(None, None), "-Ca=/b c");
        assert_eq!(of(None, Some(" -C  d ")), "-C\x1fd\x1f-Ca=/b c");
        assert_eq!(of(Some("-Ce=f g"), Some("-C d")), "-Ce=f g\x1f-Ca=/b c");
    }

    #[test]
    fn lies_beside_the_ordinary_binaries() {
        let optimised = Optimised::beside(Path::new("target/release")).unwrap();
        assert_eq!(optimised.directory, Path::new("target/optimised"));
        assert!(optimised.host.contains('-'), "{}", optimised.host);
    }
}

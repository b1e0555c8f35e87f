//! On what a run was made.

use std::fs;
use std::process::Command;

use super::nginx;

/// The commit under measurement, how ours were `built`, processor, kernel and the versions of the peers, a line each.
pub(crate) fn machine(built: &str) -> Vec<String> {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("processor unknown", |(_, name)| name.trim());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let node = Command::new("node").arg("--version").output();
    let node = node.map_or_else(
        |_| "no Node.js".to_owned(),
        |output| format!("Node.js {}", String::from_utf8_lossy(&output.stdout).trim()),
    );
    vec![
        commit(),
        built.to_owned(),
        format!("{processor}, Linux {}", kernel.trim()),
        nginx::version().unwrap_or_else(|_| "no nginx".to_owned()),
        node,
    ]
}

/// Of what these binaries were built, as far as the working directory tells.
fn commit() -> String {
    let described = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .output();
    match described {
        Ok(output) if output.status.success() => {
            format!("commit {}", String::from_utf8_lossy(&output.stdout).trim())
        }
        _ => "no commit".to_owned(),
    }
}

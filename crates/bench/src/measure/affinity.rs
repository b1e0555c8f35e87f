//! Which core runs what.

use std::fs;
use std::process::{Child, Command};

use anyhow::Context as _;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The cores of a measurement; they are the same where all shares one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Runs the servers.
    pub(crate) servers: usize,
    /// Runs the load generator and the upstream.
    pub(crate) load: usize,
}

/// The cores this process may use.
pub(crate) fn available_cores() -> anyhow::Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0)).context("the cores of this process")?;
    Ok((0..CpuSet::count())
        .filter(|&core| set.is_set(core).unwrap_or(false))
        .collect())
}

/// Moves every thread of a process to `core`; those that start later inherit it.
pub(crate) fn pin_process(process: u32, core: usize) -> anyhow::Result<()> {
    let tasks = format!("/proc/{process}/task");
    for entry in fs::read_dir(&tasks).with_context(|| tasks.clone())? {
        let name = entry?.file_name();
        let Some(task) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        match pin(Pid::from_raw(task), core) {
            // A thread that has ended meanwhile needs no core.
            Ok(()) | Err(nix::Error::ESRCH) => {}
            Err(error) => {
                return Err(error).with_context(|| format!("pinning process {process} to core {core}"));
            }
        }
    }
    Ok(())
}

/// Starts a process that sees `core` alone, so that it makes itself a server of one core.
pub(crate) fn spawn_on(core: usize, command: &mut Command) -> anyhow::Result<Child> {
    let this_thread = Pid::from_raw(0);
    let before = sched_getaffinity(this_thread).context("the cores of this thread")?;
    pin(this_thread, core).with_context(|| format!("pinning to core {core}"))?;
    let spawned = command.spawn();
    sched_setaffinity(this_thread, &before).context("the cores of this thread")?;
    spawned.with_context(|| format!("{} does not start", command.get_program().to_string_lossy()))
}

fn pin(task: Pid, core: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(task, &set)
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn a_child_sees_its_core_alone() {
        let core = available_cores().unwrap()[0];
        let mut command = Command::new("sleep");
        let mut child = spawn_on(core, command.arg("60").stdin(Stdio::null())).unwrap();
        let set = sched_getaffinity(Pid::from_raw(child.id().try_into().unwrap())).unwrap();
        let cores: Vec<usize> = (0..CpuSet::count())
            .filter(|&core| set.is_set(core).unwrap())
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(cores, [core]);
    }
}

//! The process's limit of open files: the usual one is far below the connections the gateway has places for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, and says so where that is still too low for `connections` and as many to
/// the APIs and hosts behind.
pub(crate) fn make_room_for(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files could not be raised: {error}");
    }
    // No limit has no number.
    let Some(open_files) = getrlimit(Resource::Nofile).current else {
        return;
    };
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(2);
    if open_files < needed {
        tracing::warn!(
            open_files,
            listen.connections = connections,
            "{connections} connections may need {needed} open files, and the limit is {open_files}; raise it (ulimit -n) \
             or lower listen.connections"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_may_be_open_as_the_system_lets_us() {
        make_room_for(1);
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}

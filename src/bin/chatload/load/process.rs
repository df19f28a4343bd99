//! What the kernel tells of the time of threads, and how many descriptors it lets a process have.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

/// What threads have had of their cores so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CoreTime {
    pub(crate) ran: Duration,
    /// Ready to run, while something else had the core.
    pub(crate) waited: Duration,
}

impl CoreTime {
    /// Of one thread, by its directory in `/proc` (the kernel's sched-stats.rst).
    ///
    /// # Errors
    /// If there is no such thread, or no such system.
    pub(crate) fn of_thread(task: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(task.join("schedstat"))?;
        let mut fields = text.split_whitespace().map(str::parse);
        match (fields.next(), fields.next()) {
            (Some(Ok(ran)), Some(Ok(waited))) => Ok(Self {
                ran: Duration::from_nanos(ran),
                waited: Duration::from_nanos(waited),
            }),
            _ => Err(io::Error::other("schedstat without its numbers")),
        }
    }

    /// Of all threads of a process together.
    ///
    /// # Errors
    /// As [`CoreTime::of_thread`].
    pub(crate) fn of_process(pid: u32) -> io::Result<Self> {
        let mut sum = Self::default();
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let time = Self::of_thread(&task?.path())?;
            sum.ran += time.ran;
            sum.waited += time.waited;
        }
        Ok(sum)
    }
}

/// Lets this process have as many descriptors as the kernel allows, and gives how many it has now.
pub(crate) fn raise_descriptor_limit() -> u64 {
    let most = getrlimit(Resource::Nofile).maximum;
    let wanted = Rlimit {
        current: most,
        maximum: most,
    };
    // A system may have a bound below what it says; then all stays as it is.
    let _ = setrlimit(Resource::Nofile, wanted);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

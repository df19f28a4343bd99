//! A core for the server and another one for the clients, as they would have on machines of their own.
//!
//! Over loopback the kernel likes to run whoever is woken where she was woken from: beside a server in this process the
//! clients would keep it waiting whose lines they time.

/// Two cores that this process may use, the server's first; `None` where there are not two, or it cannot be known.
#[cfg(target_os = "linux")]
pub(crate) fn two() -> Option<[usize; 2]> {
    use rustix::thread::{sched_getaffinity, CpuSet};

    let allowed = sched_getaffinity(None).ok()?;
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|core| allowed.is_set(*core))
        .collect();
    // Others that run at the same time take others, if there are.
    let first = std::process::id() as usize * 2 % cores.len().max(1);
    let second = (first + 1) % cores.len().max(1);
    (cores.len() > 1).then(|| [cores[first], cores[second]])
}

/// Lets the calling thread run on this core alone, if the kernel agrees.
#[cfg(target_os = "linux")]
pub(crate) fn stay_on(core: usize) {
    use rustix::thread::{sched_setaffinity, CpuSet};

    let mut cores = CpuSet::new();
    cores.set(core);
    let _ = sched_setaffinity(None, &cores);
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn two() -> Option<[usize; 2]> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn stay_on(_: usize) {}

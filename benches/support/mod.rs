//! What the benches of the hub and of framing share: how they are measured, and flamegraphs.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use criterion::profiler::Profiler;
use criterion::Criterion;
use pprof::ProfilerGuard;

/// Samples of the stack in a second; not a round number, so that it does not beat with timers.
const SAMPLES_PER_SECOND: i32 = 997;

/// Few samples, for there are many cases.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .with_profiler(Flamegraph(None))
}

/// Writes `flamegraph.svg` beside criterion's own output, with `--profile-time`.
struct Flamegraph(Option<ProfilerGuard<'static>>);

impl Profiler for Flamegraph {
    fn start_profiling(&mut self, benchmark_id: &str, _folder: &Path) {
        match ProfilerGuard::new(SAMPLES_PER_SECOND) {
            Ok(guard) => self.0 = Some(guard),
            Err(error) => eprintln!("{benchmark_id} is not profiled: {error}"),
        }
    }

    fn stop_profiling(&mut self, benchmark_id: &str, folder: &Path) {
        let Some(guard) = self.0.take() else { return };
        let file = folder.join("flamegraph.svg");
        let written = || -> Result<(), Box<dyn std::error::Error>> {
            fs::create_dir_all(folder)?;
            guard.report().build()?.flamegraph(File::create(&file)?)?;
            Ok(())
        };
        match written() {
            Ok(()) => println!("{benchmark_id}: {}", file.display()),
            Err(error) => eprintln!("{benchmark_id} has no flamegraph: {error}"),
        }
    }
}

//! Targets under libFuzzer: our own crates are built once more, with the instrumentation that shows libFuzzer which branches an
//! input took. What they depend on stays as the tests build it, so that this takes minutes and not a quarter of an hour.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use fleetmesh_tools::tools;

use crate::cargo;

/// What libFuzzer wants to know of each input, from LLVM's SanitizerCoverage: counters of edges and the operands of
/// comparisons.
const FLAGS: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];
/// The runs of a target, which share a corpus: the longest input, in bytes, and how much of the time, in quarters. What stands
/// behind a few bytes is found in short inputs soon, and in the middle of long ones hardly ever.
const RUNS: [(usize, u64); 2] = [(64, 1), (4096, 3)];
/// The most memory of a process, in MiB.
const MEMORY: u32 = 2048;
/// The longest that an input may take, in seconds of the clock: libFuzzer measures no processor time.
const LONGEST_TIME: u32 = 10;
/// The lines at the end of a log that show an input that failed.
const LAST_LINES: usize = 40;

/// Builds the program.
///
/// # Errors
/// It does not compile.
pub fn build() -> Result<PathBuf> {
    let target = tools::target_dir()?;
    // As a wrapper of the workspace's crates alone: flags for all of them would have the AWS SDKs and Envoy's types built anew.
    let wrapper = wrapper(&target.join("fuzz"))?;
    let features = ["--features", "fleetmesh-fuzz/libfuzzer", "--example", "libfuzzer"];
    let mut build = cargo::command(&[&["build", "--locked", "--workspace"], &features[..]].concat())?;
    build.env("RUSTC_WORKSPACE_WRAPPER", wrapper);
    cargo::status(build)?;
    Ok(target.join("debug/examples/libfuzzer"))
}

/// A program in `folder` that runs the compiler with [`FLAGS`].
fn wrapper(folder: &Path) -> Result<PathBuf> {
    let file = folder.join("rustc-with-coverage");
    let script = format!("#!/bin/sh\nexec \"$@\" {}\n", FLAGS.join(" "));
    if fs::read_to_string(&file).is_ok_and(|there| there == script) {
        return Ok(file);
    }
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&file, script));
    let written = written.and_then(|()| fs::set_permissions(&file, Permissions::from_mode(0o755)));
    written.with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// Runs a target for so many seconds: whether all inputs passed. One that fails is kept beside those of the other engine.
///
/// # Errors
/// The program cannot be run.
pub fn one(program: &Path, target: &str, seconds: u64) -> Result<bool> {
    for (longest, quarters) in RUNS {
        if !run(program, target, longest, (seconds * quarters).div_ceil(4))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn run(program: &Path, target: &str, longest: usize, seconds: u64) -> Result<bool> {
    let kept = tools::target_dir()?.join("fuzz");
    let folder = kept.join("libfuzzer").join(target);
    let (corpus, log) = (folder.join("corpus"), folder.join("log"));
    fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
    let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(program);
    command.env("FLEETMESH_FUZZ_TARGET", target).env("FLEETMESH_FUZZ_FOLDER", &folder);
    command.arg(&corpus).arg(format!("-dict={}", folder.join("words").display()));
    command.arg(format!("-artifact_prefix={}/{target}-", kept.display()));
    command.args([format!("-max_total_time={seconds}"), format!("-max_len={longest}")]);
    command.args([format!("-rss_limit_mb={MEMORY}"), format!("-timeout={LONGEST_TIME}")]);
    command.stdout(output.try_clone()?).stderr(output);
    let status = command.status().with_context(|| format!("cannot run {}", program.display()))?;
    let log = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let name = format!("{target}, up to {longest} bytes");
    println!("{}", result(&name, &String::from_utf8_lossy(&log), status.success()));
    Ok(status.success())
}

/// The result of a run, from libFuzzer's log: the inputs, the edges that they reached and the inputs of the corpus; or the
/// end of the log, which names the file of the input that failed.
fn result(run: &str, log: &str, passed: bool) -> String {
    let lines: Vec<&str> = log.lines().collect();
    if passed {
        let done = lines.iter().rev().find(|line| line.contains("DONE")).copied().unwrap_or_default();
        let inputs = done.trim_start_matches('#').split_whitespace().next().unwrap_or("0");
        let after =
            |name: &str| done.split_whitespace().skip_while(|word| *word != name).nth(1).unwrap_or("0");
        let (edges, corpus) = (after("cov:"), after("corp:"));
        return format!("{run}: {inputs} inputs, {edges} edges reached, a corpus of {corpus}");
    }
    let end = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
    format!(
        "{run}: FAILED\n{end}\n  again: cargo xtask fuzz TARGET --replay FILE, with the file that is named above"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_shows_what_it_reached_or_which_input_failed() {
        let log = "INFO: seed corpus\n#2\tINITED cov: 5 ft: 5 corp: 1/1b\n#9143\tDONE   cov: 812 ft: 2301 corp: 97/14Kb lim: 4096\nDone 9143 runs in 10 second(s)\n";
        assert_eq!(result("xml", log, true), "xml: 9143 inputs, 812 edges reached, a corpus of 97/14Kb");
        let log = format!("{}Test unit written to fuzz/xml-crash-00\n", "line\n".repeat(100));
        let result = result("xml", &log, false);
        assert!(
            result.starts_with("xml: FAILED\nline\n") && result.contains("written to fuzz/xml-crash-00"),
            "{result}"
        );
        assert_eq!(result.lines().count(), LAST_LINES + 2);
    }
}

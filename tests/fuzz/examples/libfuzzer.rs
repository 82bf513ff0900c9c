//! The same targets under libFuzzer, which learns from coverage. `cargo xtask fuzz --libfuzzer` builds it, instrumented, and starts
//! it with two variables: `FLEETMESH_FUZZ_TARGET`, the target's name, and `FLEETMESH_FUZZ_FOLDER`, a folder that is there. The
//! target's seeds are written into its subfolder `corpus` and its words into its file `words`, before libFuzzer reads them.
#![no_main]
#![allow(clippy::expect_used, clippy::panic, reason = "libFuzzer takes a panic for a failure of the input")]

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use fleetmesh_fuzz::targets::{Target, target};

thread_local! {
    static TARGET: Box<dyn Target> = {
        let name = env::var("FLEETMESH_FUZZ_TARGET").expect("FLEETMESH_FUZZ_TARGET names a target");
        target(&name).expect("a target")
    };
}

/// Writes what libFuzzer begins with. What it found before stays in the corpus.
fn prepare() {
    let folder = env::var_os("FLEETMESH_FUZZ_FOLDER").expect("FLEETMESH_FUZZ_FOLDER names a folder");
    let (folder, corpus) = (Path::new(&folder), Path::new(&folder).join("corpus"));
    fs::create_dir_all(&corpus).expect("the folder can be written");
    TARGET.with(|target| {
        for (number, seed) in target.seeds().iter().enumerate() {
            fs::write(corpus.join(format!("seed-{number}")), seed).expect("the folder can be written");
        }
        let words = target.words().iter().map(|word| {
            word.iter().fold(String::from("\""), |mut text, byte| {
                // Writing to a string does not fail.
                let _ = write!(text, "\\x{byte:02X}");
                text
            }) + "\"\n"
        });
        fs::write(folder.join("words"), words.collect::<String>()).expect("the folder can be written");
    });
}

libfuzzer_sys::fuzz_target!(init: prepare(), |input: &[u8]| {
    TARGET.with(|target| {
        if let Err(reason) = target.try_input(input) {
            panic!("{}: {reason}", target.name());
        }
    });
});

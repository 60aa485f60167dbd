//! `nixl-l2 put`: one file, stored under a key.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nixl_l2::{L2Adapter, Lease, ObjectKey, StoreItem, Stored};

use super::key::KeyArg;
use super::print;
use super::session::{AdapterArg, allocate, long_help, open_each, take};

const EXAMPLE: &str = r#"Example:
  nixl-l2 put chunk.bin \
    --key '{"model_name": "org/m", "kv_rank": 0, "object_group_id": 0,
      "chunk_hash_hex": "ab12"}' \
    --l2-adapter '{"type": "nixl_store_dynamic", "backend": "POSIX",
      "backend_params": {"file_path": "/data/l2", "use_direct_io": "false",
      "max_capacity_gb": "10"}}'"#;

/// Store a file under a key
///
/// The object of a key does not change: with one of the same length there already, nothing is written; one of another
/// length is replaced.
///
/// The adapter's files stay, whatever its "persist_enabled" says. With "use_direct_io" the file system takes only lengths
/// that are multiples of its block.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE, after_long_help = long_help(EXAMPLE))]
pub(crate) struct Args {
    #[command(flatten)]
    adapter: AdapterArg,
    #[command(flatten)]
    key: KeyArg,
    /// The file; at least 1 byte
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let key = args.key.key()?;
    let configs = args.adapter.configs_that_keep_files()?;
    let lease = read(&args.file)?;
    let bytes = lease.len();
    let opened = open_each(&configs, lease.region(), bytes)?;
    let stored = store(&*opened.all, &key, lease)?;
    opened.all.close()?;
    for (shortfall, number) in opened.shortfalls().into_iter().zip(1..) {
        if let Some(error) = shortfall.first_error {
            print(format_args!("not stored by --l2-adapter #{number}: {error}"))?;
        }
    }
    match stored {
        Stored::Written { bytes } => print(format_args!("stored {bytes} bytes under key {key}")),
        Stored::AlreadyPresent => {
            print(format_args!("already present: {bytes} bytes under key {key}; nothing was written"))
        }
    }
}

/// The file's bytes in L1 memory of their own.
fn read(path: &Path) -> Result<Lease> {
    let about = || format!("file {path:?}");
    // Before it is opened: opening a pipe would wait for its other end.
    let metadata = fs::metadata(path).with_context(about)?;
    if !metadata.is_file() {
        bail!("file {path:?} is not a regular file");
    }
    if metadata.len() == 0 {
        bail!("file {path:?} is empty, and an empty object would hold no KV; give one with at least 1 byte");
    }
    let length = usize::try_from(metadata.len()).with_context(about)?;
    let mut file = File::open(path).with_context(about)?;
    let mut lease = allocate(length)?.lease(0, length)?;
    let bytes = lease.as_mut_slice().context("main memory can be written")?;
    file.read_exact(bytes).with_context(about)?;
    if file.read(&mut [0]).with_context(about)? > 0 {
        bail!("file {path:?} grew while it was read");
    }
    Ok(lease)
}

fn store(adapter: &dyn L2Adapter, key: &ObjectKey, lease: Lease) -> Result<Stored> {
    let item = StoreItem { key: key.clone(), memory: lease.freeze() };
    let report = take(adapter.submit_store(vec![item]), format_args!("store of key {key}"))?;
    let outcome = report.outcomes.into_iter().next().context("a store of one item has one outcome")?;
    Ok(outcome.result?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_is_read_whole_and_what_is_none_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let refused = |path: &Path| format!("{:#}", read(path).unwrap_err());
        assert!(refused(file.path()).contains("is empty"));
        file.write_all(&[7; 5000]).unwrap();
        assert_eq!(read(file.path()).unwrap().as_slice().unwrap(), [7; 5000]);
        assert!(refused(file.path().parent().unwrap()).contains("not a regular file"));
        assert!(refused(Path::new("/dev/zero")).contains("not a regular file"));
        assert!(refused(&file.path().join("x")).contains("Not a directory"));
    }
}

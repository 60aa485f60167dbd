//! The cache directory that a tool is for, and how it ends when a part of that could not be read or changed.

use std::path::PathBuf;

use anyhow::{Result, bail};
use nixl_l2::L2Error;
use nixl_l2::tools::{Amount, CacheDirectory};
use serde::Serialize;

/// The argument of the commands that are about a directory.
#[derive(Debug, clap::Args)]
pub(crate) struct CacheArg {
    /// The cache directory: "file_path" in the adapter's JSON
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl CacheArg {
    /// Opens it; it is never made.
    pub(crate) fn open(&self) -> Result<CacheDirectory> {
        Ok(CacheDirectory::open(&self.directory)?)
    }
}

/// How many objects, in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Objects {
    objects: u64,
    bytes: u64,
}

impl From<Amount> for Objects {
    fn from(amount: Amount) -> Self {
        Self { objects: amount.objects, bytes: amount.bytes }
    }
}

/// Errors as texts, for JSON.
pub(crate) fn texts(failures: &[L2Error]) -> Vec<String> {
    failures.iter().map(ToString::to_string).collect()
}

/// An error if anything failed: how much, and the first.
pub(crate) fn must_be_whole(failures: &[L2Error]) -> Result<()> {
    match failures {
        [] => Ok(()),
        [failure] => bail!("{failure}"),
        [first, ..] => bail!("{} failures; the first: {first}", failures.len()),
    }
}

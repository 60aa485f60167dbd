//! `nixl-l2 demo`: the whole story on a fresh directory, each step checked against a model.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use comfy_table::Table;
use nixl_l2::{AdapterConfig, Backend, DynamicConfig, L2Adapter, Nixl, paths};

use super::conversation::{Conversation, Counts, Model};
use super::replayer::Replayer;
use super::session::open;
use super::slots::Slots;
use super::tally::Tally;
use super::{print, table};

/// One chunk of KV, in bytes.
const CHUNK: usize = 1 << 20;
/// What the adapter may hold, in chunks: less than the conversation comes to.
const ROOM: usize = 48;
const SCRIPT: Conversation = Conversation { users: 4, turns: 5, system_chunks: 4, turn_chunks: 3 };
/// Whose KV it is, in the keys.
const MODEL: &str = "demo/chat-model";

const EXAMPLE: &str = "Example:
  nixl-l2 demo --dir /mnt/nvme --keep";

/// Show the whole story: a conversation stored, found, out of room, and recovered
///
/// In a few seconds, and a directory of its own: the KV of a conversation of several users is stored, found again on the
/// next turn, and rejected once the capacity is used up; then the adapter is closed and opened again, and everything is
/// recovered from disk. Every byte that is loaded is checked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// Make the directory in DIR [default: the system's temporary directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Leave the files where they are
    #[arg(long)]
    keep: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let parent = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    // Before anything is made: without NIXL there is no demo.
    let nixl = Nixl::load()?;
    let mut home = tempfile::Builder::new()
        .prefix("nixl-l2-demo-")
        .tempdir_in(&parent)
        .with_context(|| format!("a directory in {parent:?}"))?;
    home.disable_cleanup(args.keep);
    let config = AdapterConfig::from(DynamicConfig::new(Backend::Posix, home.path(), (ROOM * CHUNK) as u64));

    introduce(&config)?;
    let mut story = Story::begin(config)?;
    let wrong = story.tell(home.path())?;
    print(&story.table)?;
    print(format_args!(
        "\nAll bytes went through NIXL's POSIX plugin ({}): {} written, {} read back and checked.",
        nixl.library().display(),
        table::bytes(story.written),
        table::bytes(story.read),
    ))?;
    let fate = if args.keep { "stay there" } else { "are removed now; --keep leaves them" };
    print(format_args!(
        "The {ROOM} files, one for each chunk, lie in {} and {fate}.",
        home.path().display()
    ))?;
    if wrong > 0 {
        bail!("{wrong} steps of the demo did not go as they should; the table says which");
    }
    Ok(())
}

fn introduce(config: &AdapterConfig) -> Result<()> {
    let Conversation { users, turns, system_chunks, turn_chunks } = SCRIPT;
    print(format_args!(
        "A server's {users} users share a system prompt, {system_chunks} chunks of KV of {} each, and take {turns}\n\
         turns. A turn adds {turn_chunks} chunks to a user's prompt and asks for all that came before:\n\
         what is found in L2 need not be computed again. L2 has room for {ROOM} chunks, and\n\
         lets none go:\n\n  --l2-adapter '{config}'\n\nAll counts are chunks.",
        table::bytes(CHUNK as u64),
    ))
}

/// The steps of the demo, and what came of them.
#[derive(Debug)]
struct Story {
    config: AdapterConfig,
    slots: Slots,
    model: Model,
    table: Table,
    written: u64,
    read: u64,
    wrong: usize,
}

impl Story {
    fn begin(config: AdapterConfig) -> Result<Self> {
        Ok(Self {
            config,
            slots: Slots::allocate(usize::try_from(SCRIPT.longest())?, CHUNK)?,
            model: Model::new(ROOM),
            table: table::plain(["step", "asked for", "found in L2", "stored", "no room", "check"]),
            written: 0,
            read: 0,
            wrong: 0,
        })
    }

    /// Tells it; how many steps went wrong.
    fn tell(&mut self, directory: &Path) -> Result<usize> {
        let adapter = open(std::slice::from_ref(&self.config), self.slots.region(), CHUNK)?;
        for turn in 1..=SCRIPT.turns {
            self.step(&*adapter, &format!("turn {turn}"), SCRIPT.requests(turn).collect())?;
        }
        adapter.close()?;
        drop(adapter);
        self.look_into(directory)?;

        let adapter = open(std::slice::from_ref(&self.config), self.slots.region(), CHUNK)?;
        self.step(&*adapter, "restarted: all chunks", vec![self.model.held()])?;
        self.step(&*adapter, "restarted: last turn", SCRIPT.requests(SCRIPT.turns).collect())?;
        adapter.close()?;
        Ok(self.wrong)
    }

    /// Plays requests, and compares what they did with the model.
    fn step(&mut self, adapter: &dyn L2Adapter, name: &str, requests: Vec<Vec<u64>>) -> Result<()> {
        let mut replayer = Replayer::new(adapter, &self.slots, MODEL, true)?;
        let mut expect = Counts::default();
        for request in requests {
            self.model.play(&request, &mut expect);
            replayer.play(&request)?;
        }
        let tally = replayer.tally();
        self.written += tally.stored_bytes;
        self.read += tally.loaded_bytes;
        let used = (self.model.held().len() * CHUNK) as u64;
        let found = fault(tally, expect).or_else(|| {
            let usage = adapter.usage();
            (usage.used_bytes != used).then(|| format!("{} of {used} bytes are in use", usage.used_bytes))
        });
        let numbers = [tally.blocks, tally.prefix_hits, tally.stored, tally.rejected];
        self.row(name, numbers.map(|number| number.to_string()), found);
        Ok(())
    }

    /// Compares what is in the directory with the model, while no adapter is open.
    fn look_into(&mut self, directory: &Path) -> Result<()> {
        let mut files = 0;
        let mut bytes = 0;
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if paths::path_to_key(entry.file_name().as_ref()).is_some() {
                files += 1;
                bytes += entry.metadata()?.len();
            }
        }
        let held = self.model.held().len();
        let right = files == held && bytes == (held * CHUNK) as u64;
        let found = (!right).then(|| format!("{files} files with {} instead of {held}", table::bytes(bytes)));
        self.row(&format!("closed: {files} files"), Default::default(), found);
        Ok(())
    }

    fn row(&mut self, name: &str, numbers: [String; 4], fault: Option<String>) {
        self.wrong += usize::from(fault.is_some());
        let check = fault.map_or_else(|| "ok".to_owned(), |fault| format!("WRONG: {fault}"));
        self.table.add_row([name.to_owned()].into_iter().chain(numbers).chain([check]));
    }
}

/// What did not go as the model says.
fn fault(tally: &Tally, expect: Counts) -> Option<String> {
    let did = Counts {
        asked: tally.blocks,
        hits: tally.prefix_hits,
        stored: tally.stored,
        rejected: tally.rejected,
    };
    if let Some(wrong) = tally.first_mismatch.clone() {
        return Some(wrong);
    }
    if tally.load_failed + tally.lookup_failed + (tally.store_failed - tally.rejected) > 0 {
        return tally.first_error.clone();
    }
    (did != expect).then(|| {
        let Counts { hits, stored, rejected, .. } = expect;
        format!("not {hits} found, {stored} stored, {rejected} without room")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nixl_l2::{ErrorKind, L2Error};

    #[test]
    fn the_script_shows_hits_and_rejections() {
        let mut model = Model::new(ROOM);
        let turns: Vec<Counts> = (1..=SCRIPT.turns)
            .map(|turn| {
                let mut counts = Counts::default();
                SCRIPT.requests(turn).for_each(|request| model.play(&request, &mut counts));
                counts
            })
            .collect();
        assert!(turns.iter().all(|turn| turn.hits > 0), "{turns:?}");
        assert!(turns.first().unwrap().rejected == 0 && turns.last().unwrap().rejected > 0, "{turns:?}");
        assert_eq!(model.held().len(), ROOM, "it fills up");
    }

    #[test]
    fn whatever_differs_from_the_model_is_a_fault() {
        let expect = Counts { asked: 3, hits: 1, stored: 1, rejected: 1 };
        let right =
            Tally { blocks: 3, prefix_hits: 1, stored: 1, rejected: 1, store_failed: 1, ..Tally::default() };
        assert_eq!(fault(&right, expect), None);
        let mut failed = Tally { store_failed: 2, ..right.clone() };
        failed.note(&L2Error::new(ErrorKind::Io, "the disk is gone"));
        let cases = [
            (Tally { prefix_hits: 0, ..right.clone() }, "not 1 found"),
            (Tally { stored: 2, ..right.clone() }, "1 stored"),
            (Tally { first_mismatch: Some("byte 5".to_owned()), ..right }, "byte 5"),
            (failed, "the disk is gone"),
        ];
        for (tally, says) in cases {
            let fault = fault(&tally, expect).unwrap();
            assert!(fault.contains(says), "{fault}");
        }
    }
}

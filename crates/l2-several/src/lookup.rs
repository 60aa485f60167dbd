//! A lookup goes to all adapters; the first with the longest run of hits at the front answers.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, PoisonError};

use l2_core::{Ending, Looked, LookupReport, ObjectKey, Task, TaskId, TaskKind};

use crate::pins::Pinned;
use crate::several::Shared;
use crate::shortfall;

pub(crate) fn submit(shared: &Arc<Shared>, keys: Vec<ObjectKey>) -> Task<LookupReport> {
    let id = shared.tasks.next_id();
    let of = Arc::downgrade(shared);
    let give_back = move |report: LookupReport| {
        if let Some(shared) = of.upgrade() {
            shared.unlock(Some(id), &hits(&report));
        }
    };
    let (task, ending) = shared.tasks.begin(id, TaskKind::Lookup, Some(Arc::new(give_back)));
    let asked = Asked { id, ending: Some(ending), left: shared.members.len(), answers: Vec::new() };
    let asked = Arc::new(Mutex::new(asked));
    for (member, of) in shared.members.iter().enumerate() {
        let looked = of.adapter().submit_lookup_and_lock(keys.clone());
        let pinned = Pinned { member, task: looked.id() };
        let (shared, asked_too) = (Arc::clone(shared), Arc::clone(&asked));
        looked.when_ended(move |report| answered(&shared, &asked_too, Answer { pinned, report }));
        if asked.lock().unwrap_or_else(PoisonError::into_inner).ending.is_none() {
            // One has all of them: the rest need not be asked.
            break;
        }
    }
    task
}

/// A lookup under way.
struct Asked {
    id: TaskId,
    /// Until it has ended.
    ending: Option<Ending<LookupReport>>,
    /// Adapters that have not answered.
    left: usize,
    answers: Vec<Answer>,
}

struct Answer {
    pinned: Pinned,
    report: LookupReport,
}

impl Asked {
    /// Takes an answer. When it can be told whose is the best: that one, those of no use, and the end.
    fn take(&mut self, answer: Answer) -> Decided {
        let Some(ending) = self.ending.take() else { return Decided::After(answer) };
        let is_whole = answer.report.prefix_hits() == answer.report.keys.len();
        self.left = self.left.saturating_sub(1);
        self.answers.push(answer);
        if self.left > 0 && !is_whole {
            self.ending = Some(ending);
            return Decided::NotYet;
        }
        let mut answers = std::mem::take(&mut self.answers);
        // The longest run; of equally long ones that with more hits after it; of equal ones the first adapter's.
        answers.sort_by_key(|answer| {
            let report = &answer.report;
            (report.prefix_hits(), report.hits().count(), Reverse(answer.pinned.member))
        });
        match answers.pop() {
            Some(best) => Decided::Now { best, rest: answers, ending },
            None => Decided::NotYet,
        }
    }
}

enum Decided {
    NotYet,
    Now {
        best: Answer,
        rest: Vec<Answer>,
        ending: Ending<LookupReport>,
    },
    /// Another has answered before.
    After(Answer),
}

fn answered(shared: &Shared, asked: &Mutex<Asked>, answer: Answer) {
    let errors = answer.report.answers.iter().filter_map(|answer| match answer {
        Looked::Hit { .. } => None,
        Looked::Miss(error) => Some(error),
    });
    shared.note(answer.pinned.member, shortfall::Asked::Lookup, errors);
    let (id, decided) = {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        (asked.id, asked.take(answer))
    };
    match decided {
        Decided::NotYet => {}
        Decided::After(late) => give_back(shared, &late),
        Decided::Now { best, rest, ending } => {
            rest.iter().for_each(|answer| give_back(shared, answer));
            let ttl = shared.pin_ttl(best.pinned.member);
            shared.pins.add(id, best.pinned, ttl, best.report.hits().map(|(key, _)| key));
            ending.end(best.report);
        }
    }
}

/// Gives the pins of an answer that is not used back.
fn give_back(shared: &Shared, answer: &Answer) {
    if let Some(adapter) = shared.adapter(answer.pinned.member) {
        adapter.unlock_task(answer.pinned.task, &hits(&answer.report));
    }
}

fn hits(report: &LookupReport) -> Vec<ObjectKey> {
    report.hits().map(|(key, _)| key.clone()).collect()
}

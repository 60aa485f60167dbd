//! One worker thread: takes jobs, posts their moves, polls what is in flight, and sleeps when there is nothing to do.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::asking::Asking;
use crate::ends::{answered, end, guarded, refuse};
use crate::error::EngineError;
use crate::flight::{Landed, Posted, Start, Waiting, start};
use crate::given::{Inbox, Limits, Opener, Submitted};
use crate::moving::{Flying, Moving, Queued};
use crate::request::{Move, Moved, Question};
use crate::session::Session;
use crate::silence::Silence;

/// What is in flight is polled without a pause for so long after something ended: the shortest pause takes as long.
const SPIN: Duration = Duration::from_micros(50);
/// Shortest and longest pause between polls while something is in flight and nothing ends.
const PAUSE: (Duration, Duration) = (Duration::from_micros(20), Duration::from_micros(500));

pub(crate) struct Worker {
    session: Session,
    opener: Opener,
    inbox: Inbox,
    limits: Limits,
    flying: Vec<Flying>,
    asking: Vec<Asking>,
    /// In flight, questions included.
    pieces: usize,
    waiting: VecDeque<Queued>,
    silence: Silence,
}

impl Worker {
    pub(crate) fn new(session: Session, opener: Opener, inbox: Inbox, limits: Limits) -> Self {
        Self {
            session,
            opener,
            inbox,
            limits,
            flying: Vec::new(),
            asking: Vec::new(),
            pieces: 0,
            waiting: VecDeque::new(),
            silence: Silence::default(),
        }
    }

    /// Works until the engine closes; then ends what is in flight and returns.
    pub(crate) fn run(mut self) {
        let (mut pause, mut since) = (PAUSE.0, Instant::now());
        while !self.is_closing() {
            let job = match (self.is_stuck(), self.is_busy()) {
                // While requests keep coming, it would never be without one that it could leave behind.
                (true, _) => None,
                (false, true) => self.next_job_if_room(),
                (false, false) => self.inbox.next_job(),
            };
            let had_job = job.is_some();
            if let Some(job) = job {
                self.run_job(job);
            }
            let progress = self.poll_all() | self.hear_answers() | self.start_waiting();
            self.replace_if_stuck();
            if had_job || progress {
                (pause, since) = (PAUSE.0, Instant::now());
            } else if self.is_busy() && since.elapsed() < SPIN {
                std::thread::yield_now();
            } else if self.is_busy() {
                std::thread::sleep(pause);
                pause = (pause * 2).min(PAUSE.1);
            }
        }
        self.drain();
        // Its agent goes with this thread: the kernel takes some 30 ms to end a queue, and so those of all end at once.
        self.opener.agents.leave(self.session.backend());
    }

    /// Whether the agent does not answer any more, and is to be replaced as soon as nothing is in flight: that ends, or is
    /// parked, within its time limit. With too many left behind already, it stays.
    fn is_stuck(&self) -> bool {
        self.silence.is_too_long() && self.opener.agents.may_replace(self.opener.workers)
    }

    /// Leaves an agent that does not answer any more, with the transfers that it has not ended, for a new one.
    fn replace_if_stuck(&mut self) {
        if self.is_busy() || !self.is_stuck() {
            return;
        }
        match (self.opener.open)() {
            Ok(session) => {
                self.opener.agents.replace(self.session.backend(), session.backend().clone());
                self.session = session;
                self.silence.replaced();
                tracing::warn!("a NIXL agent did not answer any more, and was replaced");
            }
            Err(error) => {
                self.silence.not_replaced();
                tracing::error!(%error, "a NIXL agent does not answer, and cannot be replaced");
            }
        }
    }

    /// Whether anything is in flight or waits to be.
    fn is_busy(&self) -> bool {
        !(self.flying.is_empty() && self.asking.is_empty() && self.waiting.is_empty())
    }

    fn is_closing(&self) -> bool {
        self.inbox.seat.is_closing()
    }

    /// A job, if one waits and there is room for it.
    fn next_job_if_room(&mut self) -> Option<Submitted> {
        if self.pieces >= self.limits.pieces_in_flight || !self.waiting.is_empty() {
            return None;
        }
        self.inbox.seat.take()
    }

    fn run_job(&mut self, submitted: Submitted) {
        let Submitted { job, at, work: _until_it_is_run } = submitted;
        let queued = at.elapsed();
        let _span = tracing::trace_span!("job", ?queued).entered();
        self.inbox.stages.queued.record(queued);
        let mut moves = guarded("a job", job).unwrap_or_default();
        if self.silence.rules_out(at) {
            let limit = self.limits.io_timeout;
            // What a group of them leads to is that each is tried alone: neither is that.
            for _ in 0..2 {
                let refused =
                    moves.into_iter().flat_map(|next| refuse(next, || EngineError::NotTried(limit)));
                moves = refused.collect();
            }
        }
        self.post_all(moves);
    }

    /// Posts moves, and those that they lead to when they end at once.
    fn post_all(&mut self, moves: Vec<Move>) {
        let mut todo = VecDeque::from(moves);
        while let Some(next) = todo.pop_front() {
            todo.extend(self.post(next));
        }
    }

    fn post(&mut self, next: Move) -> Vec<Move> {
        if self.is_closing() {
            // What its end asks for would be refused in turn.
            drop(refuse(next, || EngineError::Closed));
            return Vec::new();
        }
        let limit = self.limits.io_timeout;
        match next {
            Move::Load(request) => {
                let started = start(&self.session, request, limit);
                self.started(started)
            }
            Move::Store(request) => {
                let started = start(&self.session, request, limit);
                self.started(started)
            }
            Move::Ask(question) => self.ask(question),
        }
    }

    /// Has a thread ask. The moves that it led to, if it has ended.
    fn ask(&mut self, question: Question) -> Vec<Move> {
        let deadline = Instant::now() + self.limits.io_timeout;
        match Asking::start(self.session.backend().clone(), question, deadline) {
            Ok(asking) => {
                self.pieces += 1;
                self.asking.push(asking);
                Vec::new()
            }
            Err((then, error)) => answered(then, Err(error)),
        }
    }

    /// Hands on the answers that have come, and ends the questions whose time has run out. Whether there was any.
    fn hear_answers(&mut self) -> bool {
        let before = self.asking.len();
        for asking in std::mem::take(&mut self.asking) {
            match asking.hear(self.limits.io_timeout, self.is_closing()) {
                Ok((then, heard)) => {
                    self.pieces = self.pieces.saturating_sub(1);
                    let more = answered(then, heard);
                    self.post_all(more);
                }
                Err(asking) => self.asking.push(asking),
            }
        }
        self.asking.len() < before
    }

    /// Puts a request where it belongs. The moves that it led to, if it has ended.
    fn started<M: Moving>(&mut self, mut started: Start<M>) -> Vec<Move> {
        loop {
            match started {
                Start::Posted(mut posted) => {
                    // Linux AIO moves buffered data while it is posted: the first poll often ends it, and frees its
                    // files for the next.
                    if !posted.is_over(Instant::now()) {
                        self.pieces += posted.pieces();
                        self.flying.push(M::flying(posted));
                        return Vec::new();
                    }
                    match self.landing(posted, self.limits.io_timeout) {
                        Landed::Next(waiting) => started = self.go_on(waiting),
                        Landed::Ended(then, moved) => return end(then, moved),
                    }
                }
                Start::Later(waiting) => {
                    self.waiting.push_back(M::queued(waiting));
                    return Vec::new();
                }
                Start::Ended(then, moved) => return end(then, moved),
            }
        }
    }

    /// What a round that is over leads to: the next one, or the moves of its end.
    fn landed<M: Moving>(&mut self, posted: Posted<M>, limit: Duration) -> Vec<Move> {
        match self.landing(posted, limit) {
            Landed::Next(waiting) => self.resume(waiting),
            Landed::Ended(then, moved) => end(then, moved),
        }
    }

    /// Takes a round that is over, and heeds what it says of the storage.
    fn landing<M: Moving>(&mut self, posted: Posted<M>, limit: Duration) -> Landed<M> {
        let since = posted.since();
        let landed = posted.land(limit);
        if matches!(landed, Landed::Ended(..)) {
            self.inbox.stages.transferred.record(since.elapsed());
        }
        match &landed {
            Landed::Ended(_, Moved { result: Err(EngineError::TimedOut(_)), .. }) => {
                self.silence.late(Instant::now());
            }
            Landed::Next(_) | Landed::Ended(_, Moved { result: Ok(()), .. }) => {
                self.silence.answered();
            }
            Landed::Ended(..) => {}
        }
        landed
    }

    /// Posts the next round of a request. The moves that it led to, if it has ended.
    fn resume<M: Moving>(&mut self, waiting: Waiting<M>) -> Vec<Move> {
        let started = self.go_on(waiting);
        self.started(started)
    }

    /// Posts the next round of a request, unless it is too late for that: then it has ended.
    fn go_on<M: Moving>(&mut self, waiting: Waiting<M>) -> Start<M> {
        let why = if self.is_closing() {
            EngineError::Closed
        } else if waiting.is_late(Instant::now()) {
            EngineError::TimedOut(self.limits.io_timeout)
        } else {
            return waiting.post(&self.session);
        };
        let (then, moved) = waiting.give_up(why);
        Start::Ended(then, moved)
    }

    /// Polls everything in flight once. Whether anything ended.
    fn poll_all(&mut self) -> bool {
        let now = Instant::now();
        let mut progress = false;
        for mut flying in std::mem::take(&mut self.flying) {
            let over = match &mut flying {
                Flying::Load(posted) => posted.is_over(now),
                Flying::Store(posted) => posted.is_over(now),
            };
            if over {
                progress = true;
                self.pieces = self.pieces.saturating_sub(flying.pieces());
                let more = self.land(flying, self.limits.io_timeout);
                self.post_all(more);
            } else {
                self.flying.push(flying);
            }
        }
        progress
    }

    fn land(&mut self, flying: Flying, limit: Duration) -> Vec<Move> {
        match flying {
            Flying::Load(posted) => self.landed(posted, limit),
            Flying::Store(posted) => self.landed(posted, limit),
        }
    }

    /// Tries the requests again that found NIXL's queue full. Whether one was posted or ended.
    fn start_waiting(&mut self) -> bool {
        let before = self.waiting.len();
        for _ in 0..before {
            let Some(next) = self.waiting.pop_front() else { break };
            let more = match next {
                Queued::Load(waiting) => self.resume(waiting),
                Queued::Store(waiting) => self.resume(waiting),
            };
            self.post_all(more);
        }
        self.waiting.len() < before
    }

    /// Ends everything: what NIXL finishes in time, and what it does not.
    fn drain(&mut self) {
        // Jobs that were never run are dropped with the queues.
        while let Some(next) = self.waiting.pop_front() {
            // It is refused, for the engine is closing; what its end asks for would be, too.
            drop(match next {
                Queued::Load(waiting) => self.resume(waiting),
                Queued::Store(waiting) => self.resume(waiting),
            });
        }
        // They are refused, for the engine is closing.
        self.hear_answers();
        let deadline = Instant::now() + self.limits.drain_timeout;
        while !self.flying.is_empty() && Instant::now() < deadline {
            // What ends may want more: that is refused by now.
            if !self.poll_all() {
                std::thread::sleep(PAUSE.1);
            }
        }
        for flying in std::mem::take(&mut self.flying) {
            drop(self.land(flying, self.limits.drain_timeout));
        }
    }
}

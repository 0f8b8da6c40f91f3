//! What processes share, as far as one lock is concerned.

/// A process, by its number.
pub(crate) type Pid = usize;
type Inode = usize;

/// One path, the files that have or had it, who locked them, and the facts of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Kernel {
    /// What the path names.
    path: Option<Inode>,
    files: Vec<File>,
    /// The one file that each process has open.
    open: Vec<Option<Inode>>,
    alive: Vec<bool>,
    /// Whose timeout is over.
    overdue: Vec<bool>,
    /// The highest token of the files that were cleaned away.
    floor: u8,
    /// The wall clock. It moves with every grant.
    clock: u8,
    /// The token granted last, and whether one was ever not higher than the one before.
    newest_token: u8,
    token_fell: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct File {
    lock: Option<Pid>,
    record: Option<Record>,
}

/// What a file says. An empty file says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    pub(crate) by: Pid,
    pub(crate) token: u8,
    pub(crate) free: bool,
}

impl Kernel {
    pub(crate) fn new(processes: usize) -> Self {
        Self {
            path: None,
            files: Vec::new(),
            open: vec![None; processes],
            alive: vec![true; processes],
            overdue: vec![false; processes],
            floor: 0,
            clock: 0,
            newest_token: 0,
            token_fell: false,
        }
    }

    /// Opens the path; makes a file if asked. False if there is none.
    pub(crate) fn open(&mut self, me: Pid, create: bool) -> bool {
        if self.path.is_none() && create {
            self.files.push(File { lock: None, record: None });
            self.path = Some(self.files.len() - 1);
        }
        self.open[me] = self.path;
        self.path.is_some()
    }

    /// `flock(LOCK_EX | LOCK_NB)`.
    pub(crate) fn try_lock(&mut self, me: Pid) -> bool {
        let file = self.file(me);
        if file.lock.is_none() {
            file.lock = Some(me);
        }
        file.lock == Some(me)
    }

    /// `flock(LOCK_UN)`.
    pub(crate) fn unlock(&mut self, me: Pid) {
        let file = self.file(me);
        if file.lock == Some(me) {
            file.lock = None;
        }
    }

    pub(crate) fn close(&mut self, me: Pid) {
        if self.open[me].is_some() {
            self.unlock(me);
            self.open[me] = None;
        }
    }

    /// fstat and lstat, compared. The path is looked at last; nothing can change the first.
    pub(crate) fn path_is_mine(&self, me: Pid) -> bool {
        self.open[me].is_some() && self.open[me] == self.path
    }

    pub(crate) fn read(&mut self, me: Pid) -> Option<Record> {
        self.file(me).record
    }

    pub(crate) fn write(&mut self, me: Pid, record: Option<Record>) {
        self.file(me).record = record;
    }

    /// Reads by path, without an open file. `None` if there is no file, or nothing in it.
    pub(crate) fn read_path(&self) -> Option<Record> {
        self.path.and_then(|inode| self.files[inode].record)
    }

    pub(crate) fn unlink(&mut self) {
        self.path = None;
    }

    pub(crate) fn is_alive(&self, pid: Pid) -> bool {
        self.alive[pid]
    }

    pub(crate) fn is_overdue(&self, pid: Pid) -> bool {
        self.overdue[pid]
    }

    pub(crate) fn clock(&self) -> u8 {
        self.clock
    }

    pub(crate) fn floor(&self) -> u8 {
        self.floor
    }

    /// The floor file has a lock of its own, so that raising it is one step.
    pub(crate) fn raise_floor(&mut self, token: u8) {
        self.floor = self.floor.max(token);
    }

    /// Time passes, and a holder gets a token.
    pub(crate) fn grant(&mut self, before: u8) -> u8 {
        self.clock += 1;
        let token = self.clock.max(before + 1);
        self.token_fell |= token <= self.newest_token;
        self.newest_token = token;
        token
    }

    pub(crate) fn token_fell(&self) -> bool {
        self.token_fell
    }

    /// SIGKILL: the kernel closes what the process had open.
    pub(crate) fn kill(&mut self, pid: Pid) {
        self.close(pid);
        self.alive[pid] = false;
    }

    pub(crate) fn let_time_out(&mut self, pid: Pid) {
        self.overdue[pid] = true;
    }

    pub(crate) fn set_clock_back(&mut self) {
        self.clock = 0;
    }

    /// Forgets files that nobody can reach, and numbers the others by who reaches them, so that
    /// worlds which differ in numbers alone are one.
    pub(crate) fn tidy(&mut self) {
        let mut order: Vec<Inode> = Vec::new();
        for inode in self.path.iter().chain(self.open.iter().flatten()) {
            if !order.contains(inode) {
                order.push(*inode);
            }
        }
        let place = |inode: Inode| order.iter().position(|other| *other == inode);
        self.path = self.path.and_then(place);
        for open in &mut self.open {
            *open = open.and_then(place);
        }
        self.files = order.iter().map(|inode| self.files[*inode]).collect();
    }

    fn file(&mut self, me: Pid) -> &mut File {
        let inode = self.open[me].expect("a protocol uses only what it opened");
        &mut self.files[inode]
    }
}

//! What processes share, as far as one lock is concerned.

/// A process, by its number.
pub(crate) type Pid = u8;
type Inode = u8;

/// How many processes there can be. All that grows with them has a fixed length, so that a search
/// copies worlds without allocating.
pub(crate) const MOST: usize = 5;
/// One file at the path, one open in each process, and one that is just made.
const FILES: usize = MOST + 2;

/// One path, the files that have or had it, who locked them, and the facts of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Kernel {
    /// What the path names.
    path: Option<Inode>,
    files: [Option<File>; FILES],
    /// The one file that each process has open.
    open: [Option<Inode>; MOST],
    alive: [bool; MOST],
    /// How often a contender may still find that a whole lease has passed.
    pub(crate) leases: u8,
    /// Whose timeout or lease is over.
    overdue: [bool; MOST],
    /// The mutex of a lease directory: who has it alone, and who shares it.
    breaker: Option<Pid>,
    sharing: [bool; MOST],
    /// The highest token of the files that were cleaned away.
    floor: u8,
    /// The wall clock. It moves with every grant.
    clock: u8,
    /// The token granted last, and whether one was ever not higher than the one before.
    newest_token: u8,
    token_fell: bool,
    /// The token that each process holds the lock with.
    granted: [Option<u8>; MOST],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
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
    /// How often a lease was renewed.
    pub(crate) renewals: u8,
}

impl Record {
    pub(crate) const fn held(by: Pid, token: u8) -> Self {
        Self { by, token, free: false, renewals: 0 }
    }

    pub(crate) const fn released(self) -> Self {
        Self { free: true, ..self }
    }
}

impl Kernel {
    pub(crate) fn new(leases: u8) -> Self {
        Self {
            leases,
            path: None,
            files: [None; FILES],
            open: [None; MOST],
            alive: [true; MOST],
            overdue: [false; MOST],
            breaker: None,
            sharing: [false; MOST],
            floor: 0,
            clock: 0,
            newest_token: 0,
            token_fell: false,
            granted: [None; MOST],
        }
    }

    /// Opens the path; makes a file if asked. False if there is none.
    pub(crate) fn open(&mut self, me: Pid, create: bool) -> bool {
        if self.path.is_none() && create {
            self.path = Some(self.make(File::default()));
        }
        self.open[usize::from(me)] = self.path;
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
        if self.open[usize::from(me)].is_some() {
            self.unlock(me);
            self.open[usize::from(me)] = None;
        }
    }

    /// fstat and lstat, compared. The path is looked at last; nothing can change the first.
    pub(crate) fn path_is_mine(&self, me: Pid) -> bool {
        self.open[usize::from(me)].is_some() && self.open[usize::from(me)] == self.path
    }

    pub(crate) fn read(&mut self, me: Pid) -> Option<Record> {
        self.file(me).record
    }

    pub(crate) fn write(&mut self, me: Pid, record: Option<Record>) {
        self.file(me).record = record;
    }

    /// Reads by path, without an open file. `None` if there is no file, or nothing in it.
    pub(crate) fn read_path(&self) -> Option<Record> {
        self.path.and_then(|inode| self.files[usize::from(inode)]).and_then(|file| file.record)
    }

    /// Whether this is in the file at the path, or in one that somebody has open.
    pub(crate) fn can_be_read(&self, content: Option<Record>) -> bool {
        let mut reachable = self.path.iter().chain(self.open.iter().flatten());
        reachable
            .any(|inode| self.files[usize::from(*inode)].is_some_and(|file| file.record == content))
    }

    pub(crate) fn unlink(&mut self) {
        self.path = None;
    }

    /// Renames a new file, which nobody else has seen, over the path.
    pub(crate) fn replace(&mut self, record: Option<Record>) {
        self.path = Some(self.make(File { lock: None, record }));
    }

    pub(crate) fn path_is_taken(&self) -> bool {
        self.path.is_some()
    }

    /// Takes the mutex along with others.
    pub(crate) fn try_share(&mut self, me: Pid) -> bool {
        self.sharing[usize::from(me)] = self.breaker.is_none();
        self.sharing[usize::from(me)]
    }

    /// Takes the mutex alone.
    pub(crate) fn try_break(&mut self, me: Pid) -> bool {
        let free = self.breaker.is_none() && self.sharing == [false; MOST];
        if free {
            self.breaker = Some(me);
        }
        free
    }

    pub(crate) fn leave_mutex(&mut self, me: Pid) {
        self.sharing[usize::from(me)] = false;
        if self.breaker == Some(me) {
            self.breaker = None;
        }
    }

    pub(crate) fn is_alive(&self, pid: Pid) -> bool {
        self.alive[usize::from(pid)]
    }

    pub(crate) fn is_overdue(&self, pid: Pid) -> bool {
        self.overdue[usize::from(pid)]
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

    /// Time passes, and a process gets a token.
    pub(crate) fn grant(&mut self, me: Pid, before: u8) -> u8 {
        self.clock += 1;
        let token = self.clock.max(before + 1);
        self.token_fell |= token <= self.newest_token;
        self.newest_token = token;
        self.granted[usize::from(me)] = Some(token);
        token
    }

    /// The end of what a grant gave.
    pub(crate) fn give_up(&mut self, me: Pid) {
        self.granted[usize::from(me)] = None;
        self.overdue[usize::from(me)] = false;
    }

    /// A lease is over, if the process still has that one.
    pub(crate) fn end_lease(&mut self, pid: Pid, token: u8) {
        self.overdue[usize::from(pid)] |= self.granted[usize::from(pid)] == Some(token);
    }

    pub(crate) fn token_fell(&self) -> bool {
        self.token_fell
    }

    /// SIGKILL: the kernel closes what the process had open.
    pub(crate) fn kill(&mut self, pid: Pid) {
        self.close(pid);
        self.leave_mutex(pid);
        self.give_up(pid);
        self.alive[usize::from(pid)] = false;
    }

    pub(crate) fn let_time_out(&mut self, pid: Pid) {
        self.overdue[usize::from(pid)] = true;
    }

    pub(crate) fn set_clock_back(&mut self) {
        self.clock = 0;
    }

    /// Forgets files that nobody can reach, and numbers the others by who reaches them, so that
    /// worlds which differ in numbers alone are one.
    pub(crate) fn tidy(&mut self) {
        let mut place: [Option<Inode>; FILES] = [None; FILES];
        let mut files = [None; FILES];
        let mut free = (0..).zip(&mut files);
        for reached in std::iter::once(&mut self.path).chain(&mut self.open).flatten() {
            let from = usize::from(*reached);
            *reached = *place[from].get_or_insert_with(|| {
                let (inode, file) = free.next().expect("there is room for all that is reached");
                *file = self.files[from];
                inode
            });
        }
        self.files = files;
    }

    fn make(&mut self, file: File) -> Inode {
        let mut places = (0..).zip(&mut self.files);
        let free = places.find(|(_, place)| place.is_none());
        let (inode, place) = free.expect("there is room for one more");
        *place = Some(file);
        inode
    }

    fn file(&mut self, me: Pid) -> &mut File {
        let inode = self.open[usize::from(me)].expect("a protocol uses only what it opened");
        self.files[usize::from(inode)].as_mut().expect("an open file exists")
    }
}

//! The states of a task in the database, a little finer than [`TaskStatus`].

use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};

use crate::{TaskStatus, clock::Millis};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// In the index that claims read.
    Ready,
    /// A dependency is in the way.
    Blocked,
    /// A time is in the way, or was until a claim looks.
    Delayed,
    /// A claim met it while something that it wants was closed.
    Parked,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl State {
    pub(super) const ALL: [Self; 8] = [
        Self::Ready,
        Self::Blocked,
        Self::Delayed,
        Self::Parked,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Its status at a time.
    pub(super) fn status(self, due: Millis, now: Millis) -> TaskStatus {
        match self {
            Self::Ready => TaskStatus::Pending,
            Self::Delayed if due <= now => TaskStatus::Pending,
            Self::Blocked | Self::Delayed | Self::Parked => TaskStatus::Waiting,
            Self::Running => TaskStatus::Running,
            Self::Succeeded => TaskStatus::Succeeded,
            Self::Failed => TaskStatus::Failed,
            Self::Cancelled => TaskStatus::Cancelled,
        }
    }

    pub(super) const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// The state that a final status is kept as.
    pub(super) const fn ended(status: TaskStatus) -> Self {
        match status {
            TaskStatus::Succeeded => Self::Succeeded,
            TaskStatus::Cancelled => Self::Cancelled,
            _ => Self::Failed,
        }
    }
}

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok((*self as i64).into())
    }
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        let state = usize::try_from(number).ok().and_then(|at| Self::ALL.get(at));
        state.copied().ok_or(FromSqlError::OutOfRange(number))
    }
}

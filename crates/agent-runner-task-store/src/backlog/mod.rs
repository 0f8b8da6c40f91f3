//! Reading tasks from the files in which people keep them.

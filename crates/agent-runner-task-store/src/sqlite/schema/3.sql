-- In `task.marks`, bit 3 is "has a command of its own". They are in the index, so that a claim
-- which takes only some commands reads no other row.
UPDATE task SET marks = marks | 8
WHERE seq IN (SELECT seq FROM spec WHERE json_type(content, '$.command') IS NOT NULL);
DROP INDEX task_ready;
CREATE INDEX task_ready ON task (priority DESC, seq, marks) WHERE state = 0;

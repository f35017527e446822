// Package sqldb keeps what must not be lost: it opens the SQLite database, carries every room's tables forward, and lets many callers
// share one fsync. It owns no table of anybody; a room brings its tables as a Schema and works on them in closures that get a Tx.
//
// Writing goes through DB.Update. One goroutine takes the calls that wait, runs each in a savepoint of one transaction,
// commits once, and only then answers any of them (design section 3). Therefore a closure
//
//   - touches nothing but its Tx: it may run twice, when another closure's failure took the transaction away or the commit failed;
//   - calls neither Update nor View: it would wait for itself;
//   - is short: all other writers wait for it. Files are written before, other servers are asked before.
//
// Reading goes through DB.View, on read-only connections of their own, so that no reader waits for a writer. A long reading
// keeps the write-ahead log from being reused: walk large tables in pages, a View each.
//
// Times are INTEGER Unix milliseconds: a time.Time given as an argument is stored so, and scanned back from it.
package sqldb

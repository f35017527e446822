// Package queue keeps the mail that goes to other hosts until it is there, or until its sender knows that it will not be (R1). A mail is in the database, with
// each recipient's next time, from the commit that acknowledged it to the commit in which its last recipient is done; the bounce is in that same commit. So
// whatever ends the program, each recipient gets the mail once or its sender one report, but for the moment in which another host has taken a mail and
// we do not know yet (RFC 5321 4.5.3.2.6 asks that side to be quick).
//
// Mail for one destination goes over few connections, each of which carries many mails. How many connections a destination takes is learned: more while mails go through,
// fewer when it refuses. In memory are only the mails in work.
package queue

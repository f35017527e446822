// Package chbroker is the CH server (R2–R11): it knows where people are, which chat port is whose and what a chat link stands for, gives every mail its
// card, and makes the calls: it shows a visit, rings, keeps trying, and leaves word.
//
// Four parts, each with files of its own:
//
//   - The maps (maps.go, memory.go, redis.go): presence and port leases, soft state behind one interface. guard.go keeps every use of them within its budget.
//   - Presence (presence.go, verdict.go): signs of life in, a verdict by evidence out. What this process knows is kept here and written again when the maps have lost it.
//   - Ports and links (ports.go, cards.go, links.go): hard state in SQL; the way of a mail touches neither SQL nor Redis in the usual case.
//   - The call (board.go, visit.go, ring.go, word.go): one goroutine owns all calls and is driven by typed events; what it has to tell leaves through queues
//     that never make it wait. docs/call.md has the picture.
//
// Mail comes first: nothing that a mail waits for here takes longer than its budget, whatever Redis does.
package chbroker

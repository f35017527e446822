// Package push is the room that reaches an owner whose desk is closed: it keeps the browsers that he has allowed to be woken (Web Push), and tells them that somebody rings,
// and afterwards that a call was missed. The broker decides when; the words are the pages'.
package push

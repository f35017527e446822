// Package web is what every page of the system stands on: the listener with its time-outs and limits, the security
// headers, sign-in sessions, protection against foreign origins, templates, static files, languages and the pages
// that say what went wrong. It knows nothing of mail or chat; chatd/pages and later the mall build on it.
//
// The parts, in the order in which a request meets them:
//
//	Server     accepts connections, bounds them in time, number and size
//	Site       one origin: host check, security headers, CSRF, error pages, static files
//	Renderer   one package's templates, words and static files
//	Sessions   who is signed in, in SQL
//	Limiter    how often an address may do what costs us or helps a guesser
package web

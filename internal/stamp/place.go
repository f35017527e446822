package stamp

// placeText says what to put into a text, and where, with LF line ends. An older line of ours in the author's own words gives its place to the new one.
func (l *leaf) placeText(p *prose, w *words) ([]edit, error) {
	at := p.end()
	chat := w.line(l.charset, !l.eightBit)
	var edits []edit
	for _, o := range p.older {
		old, err := l.between(o.from, o.to)
		if err != nil {
			return nil, err
		}
		if !w.ownLine(string(old), l.charset, o.uncertain) || o.uncertain && o.to != p.ends {
			continue
		}
		e := edit{at: o.from, del: o.to - o.from}
		if len(edits) == 0 {
			e.ins = []byte(chat)
		}
		edits = append(edits, e)
	}
	if len(edits) > 0 {
		return edits, nil
	}
	var b []byte
	switch {
	case at.blank:
	case !at.nl:
		b = append(b, "\n\n"...)
	default:
		b = append(b, '\n')
	}
	// A line that flows on would swallow the blank line behind it (RFC 3676 4.2).
	if l.flowed && at.flows && len(b) > 0 {
		b = append(b, '\n')
	}
	b = append(b, chat...)
	switch {
	case at.joined:
		b = append(b, "\n\n"...)
	case l.root || l.mustEnd || at.nl:
		b = append(b, '\n')
	}
	return []edit{{at: at.at, ins: b}}, nil
}

package relay

import (
	"context"
	"sync"
)

// memoryPolicies is a PolicyCache in memory.
type memoryPolicies struct {
	mu       sync.Mutex
	policies map[string]Policy
}

func (m *memoryPolicies) Policy(_ context.Context, domain string) (Policy, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.policies[domain]
	return p, ok, nil
}

func (m *memoryPolicies) SetPolicy(_ context.Context, domain string, p Policy) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.policies == nil {
		m.policies = map[string]Policy{}
	}
	m.policies[domain] = p
	return nil
}

// Package idempotence tests EnableIdempotentRetries: numbers, epochs, fencing and the stored
// identity.
package idempotence

package main

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// saidByService returns the service's condition and description in an error of the SDK; both are
// empty if the service sent none. The SDK wraps a type of an AMQP package that this program does
// not import. So its fields identify it.
func saidByService(err error) (condition, description string) {
	if v := reflect.Indirect(reflect.ValueOf(err)); v.Kind() == reflect.Struct {
		c, d := v.FieldByName("Condition"), v.FieldByName("Description")
		if c.IsValid() && d.IsValid() && c.Kind() == reflect.String && d.Kind() == reflect.String && c.Len() > 0 {
			return c.String(), d.String()
		}
		// The SDK's own wrapper has no Unwrap.
		if inner := v.FieldByName("Err"); inner.IsValid() && inner.CanInterface() {
			if err, ok := inner.Interface().(error); ok {
				return saidByService(err)
			}
		}
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return saidByService(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			if condition, description := saidByService(err); condition != "" {
				return condition, description
			}
		}
	}
	return "", ""
}

// unknownToSDK names a type in a decoded value that the SDK's codec (go-amqp v1.7.0) cannot decode;
// nil if there is none.
func unknownToSDK(v any) error {
	switch v := v.(type) {
	case amqp.Char, []amqp.Char:
		return errors.New("char not implemented")
	case amqp.Decimal32:
		return errors.New("decimal32 not implemented")
	case amqp.Decimal64:
		return errors.New("decimal64 not implemented")
	case amqp.Decimal128:
		return errors.New("decimal128 not implemented")
	case amqp.Array, []amqp.List:
		return fmt.Errorf("an array of elements with such a type not implemented: %T", v)
	case amqp.Described:
		return firstError(unknownToSDK(v.Descriptor), unknownToSDK(v.Value))
	case amqp.List:
		return firstOf(v, unknownToSDK)
	case amqp.Map:
		return firstOf(v, func(p amqp.Pair) error { return firstError(unknownToSDK(p.Key), unknownToSDK(p.Value)) })
	case []amqp.Map:
		return firstOf(v, func(m amqp.Map) error { return unknownToSDK(m) })
	}
	return nil
}

// messageUnknownToSDK is unknownToSDK for an encoded message. A message that cannot be decoded at
// all is unknown to the SDK too.
func messageUnknownToSDK(encoded []byte) error {
	m, err := amqp.ParseMessage(encoded)
	if err != nil {
		return err
	}
	err = firstError(unknownToSDK(m.DeliveryAnnotations), unknownToSDK(m.Annotations), unknownToSDK(m.ApplicationProperties), unknownToSDK(m.Value), unknownToSDK(m.Footer))
	return firstError(err, firstOf(m.Sequences, func(l amqp.List) error { return unknownToSDK(l) }))
}

func firstError(errs ...error) error { return firstOf(errs, func(err error) error { return err }) }

func firstOf[T any](values []T, f func(T) error) error {
	for _, v := range values {
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

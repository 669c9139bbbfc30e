// Pace: long
import test from 'ava';
import { testDamage } from '../helpers/damage-tests.js';

testDamage(test, true);

SELECT count(*) AS unread
FROM unread_values;
